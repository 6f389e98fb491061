import { writeBackLimit } from './publish.ts';

/**
 * Keeps whether, and when, this process has read the list.
 *
 * @param startsWithoutBlocks see `cache.redis.startWithoutBlocks`; called each time
 */
export function createReading(startsWithoutBlocks: () => boolean) {
  let polledAt = Number.NEGATIVE_INFINITY;
  let isMissing = false;
  let firstPolledAt: number | undefined;
  return {
    /** When the last successful poll began, in monotonic milliseconds. -Infinity: there was none. */
    get polledAt() {
      return polledAt;
    },
    get isRead() {
      return Number.isFinite(polledAt);
    },
    /** Whether this process has not read a whole list since it started: see `isWholeList`. */
    get isMissing() {
      return isMissing;
    },
    /** Makes the first poll of a process. */
    async begin(poll: () => Promise<void>): Promise<void> {
      isMissing = true;
      await poll();
    },
    /** Notes a successful poll. @param begunAt when it began, in monotonic milliseconds */
    polled(begunAt: number, hasList: boolean): void {
      polledAt = begunAt;
      firstPolledAt ??= begunAt;
      // Other replicas need a moment to write back what Redis has lost. Afterwards, this process writes the list that it has.
      const isGivenUp = startsWithoutBlocks() && begunAt - firstPolledAt >= writeBackLimit;
      if (hasList || isGivenUp) isMissing = false;
    },
  };
}
