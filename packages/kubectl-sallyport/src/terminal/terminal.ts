import { closeSync, openSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { WriteStream } from 'node:tty';

/** What comes from a terminal: something that was typed; or it is gone, a signal has come, or nothing has in time. */
type Event = { readonly typed: string } | 'closed' | 'interrupted' | 'late';

/**
 * Where the user is. Standard output is for kubectl alone. Until it is disposed of, the terminal shows nothing by itself: a
 * password that is typed ahead would be on the screen.
 */
export interface Terminal extends Disposable {
  write(text: string): void;
  /** @param limit how long to wait, in milliseconds */
  next(limit: number): Promise<Event>;
  /** Puts back what was typed behind the end of a line. */
  unread(typed: string): void;
}

/** These end the process, and Node does not put the terminal back for all of them. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** @returns undefined when standard input is no terminal: then no one can be asked */
export function openTerminal(): Terminal | undefined {
  const input = process.stdin;
  if (!input.isTTY) return;
  const output = process.stderr.isTTY ? undefined : openDevice();
  const events: Event[] = [];
  let wake = () => {};
  const add = (event: Event) => {
    events.push(event);
    wake();
  };
  const decoder = new StringDecoder('utf8');
  const onData = (bytes: Buffer) => add({ typed: decoder.write(bytes) });
  const onClose = () => add('closed');
  const onSignal = () => add('interrupted');
  for (const signal of signals) process.on(signal, onSignal);
  input.setRawMode(true);
  input.on('data', onData).on('end', onClose).on('error', onClose).resume();
  return {
    write: (text) => void (output?.stream ?? process.stderr).write(text),
    async next(limit) {
      const timer = setTimeout(add, limit, 'late');
      if (events.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      clearTimeout(timer);
      return events.shift() ?? 'closed';
    },
    unread: (typed) => void events.unshift({ typed }),
    [Symbol.dispose]() {
      input.off('data', onData).off('end', onClose).off('error', onClose).pause();
      try {
        input.setRawMode(false);
      } catch {
        // It is gone.
      }
      for (const signal of signals) process.off(signal, onSignal);
      output?.close();
    },
  };
}

/** With `kubectl get pods 2>errors`, a question on standard error would be seen by no one. */
function openDevice(): { readonly stream: WriteStream; close(): void } | undefined {
  if (process.platform === 'win32') return;
  try {
    const descriptor = openSync('/dev/tty', 'w');
    return { stream: new WriteStream(descriptor), close: () => closeSync(descriptor) };
  } catch {
    // There is no controlling terminal.
    return;
  }
}
