import { bounded, type WaitBounds } from '@sallyport/plugin-options';

/** Ends early, and does not throw, when the signal is aborted. Its timer keeps no process alive. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  // Even a timer of 0 takes a millisecond: refusals of unknown names would be later than those of known ones.
  if (milliseconds <= 0) return;
  let timer: NodeJS.Timeout | undefined;
  const start = (resolve: () => void) => {
    timer = setTimeout(resolve, milliseconds).unref();
  };
  await bounded<void>({ signal }, start, () => clearTimeout(timer)).catch(() => {});
}

/** Callers who wait for a thing of which there are few, first come, first served. */
export function createQueue<T>() {
  const waiting = new Set<{ resolve(thing: T): void; reject(reason: unknown): void }>();
  return {
    get length() {
      return waiting.size;
    },
    /** @throws what `late` makes after `limit`, the reason of the signal, or the error of `rejectAll` */
    wait(bounds: WaitBounds): Promise<T> {
      let end = () => {};
      const start = (resolve: (thing: T) => void, reject: (reason: unknown) => void) => {
        const caller = { resolve, reject };
        waiting.add(caller);
        end = () => waiting.delete(caller);
      };
      return bounded(bounds, start, () => end());
    },
    /** Gives the thing to the first caller. Not to be called while the queue is empty. */
    serve(thing: T): void {
      const [first] = waiting;
      if (first === undefined) throw new Error('The queue is empty.');
      first.resolve(thing);
    },
    rejectAll(error: Error): void {
      for (const caller of [...waiting]) caller.reject(error);
    },
  };
}

/** A concurrency limit: does the work once a slot is free. @throws as `wait`, and what the work throws */
export function createSlots(count: number) {
  const queue = createQueue<void>();
  let taken = 0;
  return async <T>(bounds: WaitBounds, work: () => Promise<T>): Promise<T> => {
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
