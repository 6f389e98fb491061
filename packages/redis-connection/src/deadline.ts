/** Thrown when Redis gave no answer in its time. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut';
}

/**
 * Waits no longer than that, whatever becomes of the work.
 *
 * @throws TimedOut
 * @throws the signal's reason when it is aborted
 */
export function within<T>(milliseconds: number, signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', leave);
    };
    const leave = () => {
      end();
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      end();
      reject(new TimedOut(`no answer in ${milliseconds} ms`));
    }, milliseconds);
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave);
    work.then(
      (value) => {
        end();
        resolve(value);
      },
      (error: unknown) => {
        end();
        reject(error);
      },
    );
  });
}
