import { StringDecoder } from 'node:string_decoder';
import { exitCodes, Failure } from '../failure.ts';
import { createLine, type LineEnd } from './line.ts';
import type { Terminal } from './terminal.ts';

/** A question that no one answers holds the lock, and with it every other kubectl: 2 minutes, in milliseconds. */
const patience = 120_000;

/** These end the process, and Node does not put the terminal back for all of them. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Asks for a line. Whatever ends it, the terminal is as it was before.
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

async function readLine(
  { input, write }: Terminal,
  hidden: boolean,
  limit: number,
): Promise<{ readonly end: LineEnd | 'late'; readonly text: string }> {
  const line = createLine(hidden);
  const decoder = new StringDecoder('utf8');
  const ended = Promise.withResolvers<LineEnd | 'late'>();
  const onData = (bytes: Buffer) => {
    const { shown, end } = line.type(decoder.write(bytes));
    write(shown);
    if (end !== undefined) ended.resolve(end);
  };
  const onClose = () => ended.resolve('closed');
  const onSignal = () => ended.resolve('interrupted');
  const timer = setTimeout(() => ended.resolve('late'), limit);
  for (const signal of signals) process.on(signal, onSignal);
  input.setRawMode(true);
  input.on('data', onData).once('end', onClose).once('error', onClose).resume();
  try {
    return { end: await ended.promise, text: line.text };
  } finally {
    clearTimeout(timer);
    input.off('data', onData).off('end', onClose).off('error', onClose).pause();
    try {
      input.setRawMode(false);
    } catch {
      // The terminal is gone.
    }
    for (const signal of signals) process.off(signal, onSignal);
  }
}
