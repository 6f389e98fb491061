import type { ServerAnswer } from './protocol.ts';

/** Whoever waits for one answer. */
export interface Caller {
  /** Went away before the answer was written. */
  readonly gone: boolean;
  /** Runs work with a signal that aborts when the caller has gone, or after so many milliseconds. */
  within<T>(milliseconds: number, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

/**
 * Watches for the end of the connection or stream. The answer's 'close' tells it on both protocols; the request's
 * 'aborted' does not once the body has been read.
 */
export function watchCaller(answer: ServerAnswer): Caller {
  const controller = new AbortController();
  let gone = false;
  answer.once('close', () => {
    if (answer.writableEnded) return;
    gone = true;
    controller.abort(new Error('the caller has gone'));
  });
  return {
    get gone() {
      return gone;
    },
    async within(milliseconds, work) {
      const timer = setTimeout(() => controller.abort(new Error('the review took too long')), milliseconds);
      try {
        return await work(controller.signal);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
