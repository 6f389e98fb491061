/** Callers who wait for something that there are only so many of, first come, first served. */
export interface WaitingLine<T> {
  readonly length: number;
  /** @throws what `late` gives after `timeout` milliseconds, the reason of the signal, what `turnAway` was told */
  join(wait: Wait): Promise<T>;
  /** Gives to the first in line. Not to be called when nobody waits. */
  serve(thing: T): void;
  turnAway(error: Error): void;
}

export interface Wait {
  readonly signal: AbortSignal;
  readonly timeout: number;
  readonly late: () => Error;
}

interface Waiter<T> {
  serve(thing: T): void;
  fail(error: unknown): void;
}

export function createWaitingLine<T>(): WaitingLine<T> {
  const waiters = new Set<Waiter<T>>();

  return {
    get length() {
      return waiters.size;
    },
    join: ({ signal, timeout, late }) =>
      new Promise<T>((resolve, reject) => {
        if (signal.aborted) {
          reject(signal.reason);
          return;
        }
        const leave = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', abort);
          waiters.delete(waiter);
        };
        const waiter: Waiter<T> = {
          serve(thing) {
            leave();
            resolve(thing);
          },
          fail(error) {
            leave();
            reject(error);
          },
        };
        const abort = () => waiter.fail(signal.reason);
        const timer = setTimeout(() => waiter.fail(late()), timeout);
        signal.addEventListener('abort', abort, { once: true });
        waiters.add(waiter);
      }),
    serve(thing) {
      const [first] = waiters;
      if (first === undefined) throw new Error('Nobody waits in this line.');
      first.serve(thing);
    },
    turnAway(error) {
      for (const waiter of [...waiters]) waiter.fail(error);
    },
  };
}
