/** The calls of one authenticator that may run at the same time, and the queue of those that may not yet. */
export interface Slots {
  /**
   * @param isProven whether the token was good before. Asked only when the answer matters
   * @returns false: no slot is free for it
   */
  tryTake(isProven: () => boolean): boolean;
  /** Waits in the queue. @returns false when the queue is full, the wait took too long, or the signal was aborted */
  wait(isProven: boolean, signal: AbortSignal): Promise<boolean>;
  /** Gives a slot back, to be called once for each that was taken. */
  leave(): void;
  /** Holds an answer back for 1 s, without a slot: not when the queue is full, and not when the signal is aborted. */
  holdBack(signal: AbortSignal): Promise<void>;
}

/** Milliseconds. */
const heldFor = 1_000;

export interface SlotSettings {
  readonly maxConcurrent: number;
  readonly maxWaiting: number;
  /** Milliseconds that a call waits at most. */
  readonly timeout: number;
}

/**
 * Slots that a flood of made-up tokens can't take from those who were let in before: the last quarter of them is only
 * for proven tokens. Below that, calls start in the order in which they came, so a first login gets its turn as well.
 */
export function createSlots({ maxConcurrent, maxWaiting, timeout }: SlotSettings): Slots {
  const forAnyToken = maxConcurrent - Math.floor(maxConcurrent / 4);
  const queue = new Set<Waiting>();
  let taken = 0;
  let heldBack = 0;
  const isFull = () => queue.size + heldBack >= maxWaiting;

  const nextInLine = (): Waiting | undefined => {
    if (taken >= maxConcurrent) return undefined;
    for (const waiting of queue) if (waiting.isProven || taken < forAnyToken) return waiting;
    return undefined;
  };
  return {
    tryTake(isProven) {
      // Whoever waits for a slot has got it by now: it goes from hand to hand.
      if (taken >= forAnyToken && !(taken < maxConcurrent && isProven())) return false;
      taken++;
      return true;
    },
    wait(isProven, signal) {
      if (isFull() || signal.aborted) return Promise.resolve(false);
      return waitFor(timeout, signal, (start) => {
        const waiting = { isProven, start };
        queue.add(waiting);
        return () => queue.delete(waiting);
      });
    },
    async holdBack(signal) {
      if (isFull() || signal.aborted) return;
      heldBack++;
      await waitFor(heldFor, signal, () => () => heldBack--);
    },
    leave() {
      taken--;
      const next = nextInLine();
      if (next === undefined) return;
      taken++;
      next.start();
    },
  };
}

interface Waiting {
  readonly isProven: boolean;
  start(): void;
}

/** @returns whether `start` was called before the time was over or the signal was aborted */
function waitFor(
  milliseconds: number,
  signal: AbortSignal,
  begin: (start: () => void) => () => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (started: boolean) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
      stop();
      resolve(started);
    };
    const giveUp = () => end(false);
    const timer = setTimeout(giveUp, milliseconds);
    signal.addEventListener('abort', giveUp, { once: true });
    const stop = begin(() => end(true));
  });
}
