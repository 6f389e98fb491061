import { closeSync, openSync } from 'node:fs';
import { WriteStream } from 'node:tty';
import { exitCodes, Failure } from '../failure.ts';
import { quietly } from '../files.ts';
import { createLine, type LineEnd } from './line.ts';

/** A question that no one answers makes every other kubectl wait, for this many milliseconds at most. */
const waitLimit = 120_000;

const interrupted = (problem: string) =>
  new Failure(problem, undefined, { exitCode: exitCodes.interrupted });

/**
 * There is no answer after Ctrl-C or a signal, after Ctrl-D or when the terminal is gone, or when
 * no one answers in time.
 */
const failures = {
  interrupted: (result: string) => interrupted(`interrupted: ${result}`),
  closed: (result: string) => interrupted(`there was no answer: ${result}`),
  late: (result: string) => new Failure(`no one answered within ${waitLimit / 1000}s: ${result}`),
};

/** A terminal sends what was typed, or ends the question. */
type Event = { readonly typed: string } | keyof typeof failures;

export type Terminal = NonNullable<ReturnType<typeof openTerminal>>;

/** These end the process, and Node does not put the terminal back for all of them. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Opens the terminal where the user is, if standard input is one. Until it is disposed of, it shows nothing by itself: a password that is
 * typed ahead would be on the screen.
 *
 * @param result what the message about a question without an answer says
 */
export function openTerminal(result = 'not logged in') {
  const input = process.stdin;
  if (!input.isTTY) return;
  const device = process.stderr.isTTY ? undefined : openDevice();
  const output = device === undefined ? process.stderr : new WriteStream(device);
  const write = (text: string) => void output.write(text);
  const events: Event[] = [];
  let wake = () => {};
  const add = (event: Event) => {
    events.push(event);
    wake();
  };
  const onData = (typed: string) => add({ typed });
  const onClose = () => add('closed');
  const onSignal = () => add('interrupted');
  for (const signal of signals) process.on(signal, onSignal);
  input.setRawMode(true);
  input.setEncoding('utf8').on('data', onData).on('end', onClose).on('error', onClose).resume();
  return {
    write,
    result,
    /** The width of the screen; undefined if it is not known. Without one, `write` shows nothing to the user. */
    columns: output.isTTY ? output.columns : undefined,
    isScreen: output.isTTY,
    /**
     * Asks for a line. What was typed behind its end is for the next one.
     *
     * @param over ends a question that may wait for longer than others
     * @throws Failure when there is none
     */
    async ask(question: string, hidden: boolean, over?: AbortSignal): Promise<string> {
      write(question);
      const line = createLine(hidden);
      over?.addEventListener('abort', onClose);
      let end: LineEnd | 'late' | undefined;
      while (end === undefined) {
        const timer = over === undefined ? setTimeout(add, waitLimit, 'late') : undefined;
        if (events.length === 0) await new Promise<void>((resolve) => (wake = resolve));
        clearTimeout(timer);
        const event = events.shift() ?? 'closed';
        const typed =
          typeof event === 'string' ? { shown: '', end: event, rest: '' } : line.type(event.typed);
        write(typed.shown);
        if (typed.rest !== '') events.unshift({ typed: typed.rest });
        end = typed.end;
      }
      over?.removeEventListener('abort', onClose);
      write('\n');
      if (end !== 'entered') throw failures[end](result);
      return line.text;
    },
    [Symbol.dispose]() {
      input.off('data', onData).off('end', onClose).off('error', onClose).pause();
      // The terminal may be gone.
      quietly(() => input.setRawMode(false));
      for (const signal of signals) process.off(signal, onSignal);
      if (device !== undefined) closeSync(device);
    },
  };
}

/** Opens the terminal itself: with `kubectl get pods 2>errors`, no one would see a question on standard error. */
function openDevice(): number | undefined {
  if (process.platform === 'win32') return;
  try {
    return openSync('/dev/tty', 'w');
  } catch {
    // There is no controlling terminal.
    return;
  }
}
