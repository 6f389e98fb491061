import { exitCodes, Failure } from '../failure.ts';
import { createLine, type LineEnd } from './line.ts';
import type { Terminal } from './terminal.ts';

/** A question that no one answers holds the lock, and with it every other kubectl: 2 minutes, in milliseconds. */
const patience = 120_000;

/**
 * Asks for a line.
 *
 * @param hidden true for a password
 * @throws Failure at Ctrl-C, when the terminal is closed, and when no one answers
 */
export async function ask(
  terminal: Terminal,
  question: string,
  hidden: boolean,
  limit: number = patience,
): Promise<string> {
  terminal.write(question);
  const { end, text } = await readLine(terminal, hidden, limit);
  terminal.write('\n');
  switch (end) {
    case 'entered':
      return text;
    case 'interrupted':
      throw new Failure('interrupted: not logged in', exitCodes.interrupted);
    case 'closed':
      throw new Failure('there was no answer: not logged in', exitCodes.interrupted);
    case 'late':
      throw new Failure(`no one answered within ${limit / 1000} s: not logged in`);
  }
}

interface Typed {
  readonly end: LineEnd | 'late';
  readonly text: string;
}

async function readLine(terminal: Terminal, hidden: boolean, limit: number): Promise<Typed> {
  const line = createLine(hidden);
  for (;;) {
    const event = await terminal.next(limit);
    if (typeof event === 'string') return { end: event, text: '' };
    const { shown, end, rest } = line.type(event.typed);
    terminal.write(shown);
    if (end === undefined) continue;
    if (rest !== '') terminal.unread(rest);
    return { end, text: line.text };
  }
}
