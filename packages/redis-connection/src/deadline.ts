/** Thrown when Redis gave no answer within its deadline. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut';
}

/**
 * Waits for the work until its deadline. The work itself goes on.
 *
 * @throws TimedOut
 * @throws the signal's reason when it is aborted
 */
export function within<T>(milliseconds: number, signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const abort = () => reject(signal.reason);
  const timer = setTimeout(() => reject(new TimedOut(`no answer in ${milliseconds} ms`)), milliseconds);
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort);
  work.then(resolve, reject);
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  });
}
