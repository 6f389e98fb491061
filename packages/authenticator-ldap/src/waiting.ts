import { bounded, type WaitBounds } from '@sallyport/plugin-kit';

/** Waits, and ends early without an error when the signal is aborted. Its timer does not keep the process running. */
export async function delay(milliseconds: number, signal: AbortSignal): Promise<void> {
  // Even a timer of 0 takes a millisecond: refusals of unknown names would be later than those of known ones.
  if (milliseconds <= 0) return;
  let timer: NodeJS.Timeout | undefined;
  const start = (resolve: () => void) => {
    timer = setTimeout(resolve, milliseconds).unref();
  };
  await bounded<void>({ signal }, start, () => clearTimeout(timer)).catch(() => {});
}

/** Creates a queue of callers who wait for a thing of which there are few. The first caller is served first. */
export function createQueue<T>() {
  const waiters = new Set<{ resolve(thing: T): void; reject(reason: unknown): void }>();
  return {
    get length() {
      return waiters.size;
    },
    /** @throws what `late` makes after `limit`, the reason of the signal, or the error of `rejectAll` */
    wait(bounds: WaitBounds): Promise<T> {
      let end = () => {};
      const start = (resolve: (thing: T) => void, reject: (reason: unknown) => void) => {
        const caller = { resolve, reject };
        waiters.add(caller);
        end = () => waiters.delete(caller);
      };
      return bounded(bounds, start, () => end());
    },
    /** Gives the thing to the first caller. @throws Error when the queue is empty */
    serve(value: T): void {
      const [waiter] = waiters;
      if (waiter === undefined) throw new Error('The queue is empty.');
      waiter.resolve(value);
    },
    rejectAll(error: Error): void {
      for (const caller of [...waiters]) caller.reject(error);
    },
  };
}

/**
 * Creates a function that does work once one of `count` slots is free. It throws as `wait`, and
 * what the work throws.
 */
export function createConcurrencyLimit(count: number) {
  const queue = createQueue<void>();
  let inUse = 0;
  return async <T>(bounds: WaitBounds, work: () => Promise<T>): Promise<T> => {
    bounds.signal?.throwIfAborted();
    if (inUse < count) inUse++;
    else await queue.wait(bounds);
    try {
      return await work();
    } finally {
      // A slot passes from one caller to the next, so no later caller gets it before those who wait.
      if (queue.length > 0) queue.serve();
      else inUse--;
    }
  };
}
