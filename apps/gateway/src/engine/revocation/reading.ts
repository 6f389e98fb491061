import { writeBackLimit } from './publish.ts';

/** Keeps whether, and when, this process has read the list. */
export function createReading() {
  let polledAt = Number.NEGATIVE_INFINITY;
  let isMissing = false;
  let emptySince: number | undefined;
  const reading = {
    /** When the last successful poll began, in monotonic milliseconds. -Infinity: there was none. */
    get polledAt() {
      return polledAt;
    },
    get isRead() {
      return Number.isFinite(polledAt);
    },
    /** Whether Redis was unavailable when this process started, and the list was not read since. */
    get isMissing() {
      return isMissing;
    },
    /** Makes the first poll. If Redis answers that there is no list, no one is blocked. */
    async begin(poll: () => Promise<void>): Promise<void> {
      isMissing = true;
      await poll();
      if (reading.isRead) isMissing = false;
    },
    /** Notes a successful poll. @param at when it began, in monotonic milliseconds */
    polled(at: number, hasList: boolean): void {
      polledAt = at;
      emptySince ??= at;
      // A Redis that recovers without a list may have lost it, and the other replicas need a moment to write it back.
      if (hasList || at - emptySince >= writeBackLimit) isMissing = false;
    },
  };
  return reading;
}
