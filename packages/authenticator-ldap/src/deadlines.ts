export interface Bounds {
  readonly signal?: AbortSignal;
  /** Milliseconds. */
  readonly timeout?: number;
  /** Makes what is thrown after `timeout`. */
  readonly late?: () => unknown;
}

/** How a wait ends. Only the first call counts. */
export interface Settle<T> {
  resolve(value: T): void;
  reject(reason: unknown): void;
}

/** Settles once: by `start`, which returns what is to be called at the end, by the timeout, or by the signal. */
export function withDeadline<T>(bounds: Bounds, start: (settle: Settle<T>) => () => void): Promise<T> {
  const { signal, timeout, late } = bounds;
  return new Promise<T>((resolve, reject) => {
    let cleanUp: (() => void) | undefined;
    let isOver = false;
    const finish = (settle: () => void) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      cleanUp?.();
      settle();
    };
    const fail = (reason: unknown) => finish(() => reject(reason));
    const onAbort = () => fail(signal?.reason);
    const timer = timeout === undefined ? undefined : setTimeout(() => fail(late?.()), timeout);
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted) return onAbort();
    try {
      cleanUp = start({ resolve: (value) => finish(() => resolve(value)), reject: fail });
    } catch (error) {
      fail(error);
    }
    if (isOver) cleanUp?.();
  });
}

/** Waits for work within bounds. The work itself goes on after them. */
export function within<T>(work: Promise<T>, bounds: Bounds): Promise<T> {
  // No one waits any more for work that fails after its bounds, or whose signal was aborted before.
  work.catch(() => {});
  return withDeadline<T>(bounds, ({ resolve, reject }) => {
    work.then(resolve, reject);
    return () => {};
  });
}

/** Ends early, and does not throw, when the signal is aborted. Its timer keeps no process alive. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (milliseconds <= 0) return;
  const elapsed = withDeadline<void>({ signal }, ({ resolve }) => {
    const timer = setTimeout(resolve, milliseconds).unref();
    return () => clearTimeout(timer);
  });
  await elapsed.catch(() => {});
}

/** Callers who wait for a thing of which there are few, first come, first served. */
export function createQueue<T>() {
  const waiting = new Set<Settle<T>>();
  return {
    get length() {
      return waiting.size;
    },
    /** @throws what `late` makes after `timeout`, the reason of the signal, or the error of `rejectAll` */
    wait: (bounds: Bounds): Promise<T> =>
      withDeadline<T>(bounds, (settle) => {
        waiting.add(settle);
        return () => waiting.delete(settle);
      }),
    /** Gives the thing to the first caller. Not to be called while the queue is empty. */
    serve(thing: T): void {
      const [first] = waiting;
      if (first === undefined) throw new Error('The queue is empty.');
      first.resolve(thing);
    },
    rejectAll(error: Error): void {
      for (const settle of [...waiting]) settle.reject(error);
    },
  };
}

/** A concurrency limit: does the work once a slot is free. @throws as `wait`, and what the work throws */
export function createSlots(count: number) {
  const queue = createQueue<void>();
  let taken = 0;
  return async <T>(bounds: Bounds, work: () => Promise<T>): Promise<T> => {
    bounds.signal?.throwIfAborted();
    if (taken < count) taken++;
    else await queue.wait(bounds);
    try {
      return await work();
    } finally {
      // A slot passes from one caller to the next, so no newcomer gets it before those who wait.
      if (queue.length > 0) queue.serve();
      else taken--;
    }
  };
}

/** For messages, as options write it: `300ms`, `12s`. From 2 minutes on it is rounded to `4m`, from 2 hours on to `3h`. */
export function durationText(milliseconds: number): string {
  if (milliseconds >= 7_200_000) return `${Math.round(milliseconds / 3_600_000)}h`;
  if (milliseconds >= 120_000) return `${Math.round(milliseconds / 60_000)}m`;
  return milliseconds % 1000 === 0 ? `${milliseconds / 1000}s` : `${Math.round(milliseconds)}ms`;
}

/** For messages: how long ago something was. */
export function ageText(milliseconds: number): string {
  return milliseconds < 1000 ? 'just now' : `${durationText(Math.round(milliseconds / 1000) * 1000)} ago`;
}
