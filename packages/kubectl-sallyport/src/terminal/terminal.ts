import { closeSync, openSync } from 'node:fs';
import { WriteStream } from 'node:tty';

/** Where the user is: what is typed, and what is shown. Standard output is for kubectl alone. */
export interface Terminal extends Disposable {
  readonly input: NodeJS.ReadStream;
  write(text: string): void;
}

/** @returns undefined when standard input is no terminal: then no one can be asked */
export function openTerminal(): Terminal | undefined {
  const input = process.stdin;
  if (!input.isTTY) return;
  const output = process.stderr.isTTY ? undefined : openDevice();
  return {
    input,
    write: (text) => void (output?.stream ?? process.stderr).write(text),
    [Symbol.dispose]: () => output?.close(),
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
