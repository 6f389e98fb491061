/** How many come between two looks at the terminal. */
const step = 1000;

/** Tells on a terminal how far a long work is, in one line that is rewritten and gone in the end. */
export interface Progress extends Disposable {
  /** One more came. */
  count(): void;
}

/** @param what comes, in plural */
export function createProgress(
  what: string,
  stream: Pick<NodeJS.WriteStream, 'isTTY' | 'write'> = process.stderr,
): Progress {
  let counted = 0;
  return {
    count() {
      counted += 1;
      if (stream.isTTY && counted % step === 0) stream.write(`\r${counted} ${what} …`);
    },
    [Symbol.dispose]() {
      if (stream.isTTY && counted >= step) stream.write('\r\u001b[K');
    },
  };
}
