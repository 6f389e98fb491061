import { writeBackLimit } from './publish.ts';

/** Whether, and when, this process has read the list. */
export function createReading() {
  let polledAt = Number.NEGATIVE_INFINITY;
  let isMissing = false;
  let emptySince: number | undefined;
  const reading = {
    /** Monotonic milliseconds: when the last poll began that had an answer. */
    get polledAt() {
      return polledAt;
    },
    get isRead() {
      return Number.isFinite(polledAt);
    },
    /** Redis was away when this process started, and the list was not read since. */
    get isMissing() {
      return isMissing;
    },
    /** @param poll the first one. Where it finds no list, no one is blocked. */
    async begin(poll: () => Promise<void>): Promise<void> {
      isMissing = true;
      await poll();
      if (reading.isRead) isMissing = false;
    },
    /** @param at monotonic milliseconds */
    polled(at: number, hasList: boolean): void {
      polledAt = at;
      emptySince ??= at;
      // A Redis that comes back without a list may have lost it, and the other replicas need a moment to write it back.
      if (hasList || at - emptySince >= writeBackLimit) isMissing = false;
    },
  };
  return reading;
}
