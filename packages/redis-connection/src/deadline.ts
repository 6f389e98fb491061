/** Thrown when Redis gave no answer within its deadline. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut';
}

/**
 * Waits for the work until its deadline. The work itself goes on.
 *
 * @param signal undefined: no one aborts it
 * @throws TimedOut
 * @throws the signal's reason when it is aborted
 */
export function within<T>(milliseconds: number, signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = <Value>(end: (value: Value) => void, value: Value) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      end(value);
    };
    const abort = () => settle(reject, signal?.reason);
    const late = () => settle(reject, new TimedOut(`no answer in ${milliseconds} ms`));
    const timer = setTimeout(late, milliseconds);
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort);
    work.then(
      (value) => settle(resolve, value),
      (error: unknown) => settle(reject, error),
    );
  });
}
