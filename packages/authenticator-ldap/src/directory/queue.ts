import { type Bounds, type Settle, withDeadline } from '../deadlines.ts';

/** Callers who wait for a thing of which there are few, first come, first served. */
export interface Queue<T> {
  readonly length: number;
  /** @throws what `late` makes after `timeout`, the reason of the signal, or the error of `rejectAll` */
  wait(bounds: Bounds): Promise<T>;
  /** Gives the thing to the first caller. Not to be called while the queue is empty. */
  serve(thing: T): void;
  rejectAll(error: Error): void;
}

export function createQueue<T>(): Queue<T> {
  const waiting = new Set<Settle<T>>();
  return {
    get length() {
      return waiting.size;
    },
    wait: (bounds) =>
      withDeadline<T>(bounds, (settle) => {
        waiting.add(settle);
        return () => waiting.delete(settle);
      }),
    serve(thing) {
      const [first] = waiting;
      if (first === undefined) throw new Error('The queue is empty.');
      first.resolve(thing);
    },
    rejectAll(error) {
      for (const settle of [...waiting]) settle.reject(error);
    },
  };
}

/** A concurrency limit. */
export interface Slots {
  /**
   * Waits for a slot.
   *
   * @returns gives the slot back; a second call does nothing
   * @throws as `Queue.wait`
   */
  take(bounds: Bounds): Promise<() => void>;
}

export function createSlots(count: number): Slots {
  const queue = createQueue<void>();
  let taken = 0;

  const leave = () => {
    // A slot passes from one caller to the next, so no newcomer gets it before those who wait.
    if (queue.length > 0) queue.serve();
    else taken--;
  };
  return {
    async take(bounds) {
      bounds.signal?.throwIfAborted();
      if (taken < count) taken++;
      else await queue.wait(bounds);
      let isTaken = true;
      return () => {
        if (isTaken) leave();
        isTaken = false;
      };
    },
  };
}
