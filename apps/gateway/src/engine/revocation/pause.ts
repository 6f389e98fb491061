import { countsFor } from './replicas.ts';

/**
 * Notices that this process did not run for so long that commands did not wait for it: a stopped process, or a paused machine. It
 * knows as little of the list as one that has just started, until a poll that began afterwards has ended. It does not matter
 * how the poll ends: while Redis is down, a replica continues with what it knows, and commands report it.
 *
 * @param now monotonic milliseconds
 */
export function createPause(now: () => number) {
  let ranAt = now();
  let resumedAt: number | undefined;
  const isLong = () => now() - ranAt > countsFor;
  return {
    /** Whether no poll has ended since the pause. */
    get isOpen(): boolean {
      return resumedAt !== undefined || isLong();
    },
    /** Notes that this process runs. Must be called regularly, also while a poll waits for its reply. */
    runs(): void {
      if (isLong()) resumedAt = now();
      ranAt = now();
    },
    /** Notes the end of a poll. @param began when it began, in monotonic milliseconds */
    polled(began: number): void {
      if (resumedAt !== undefined && began >= resumedAt) resumedAt = undefined;
    },
  };
}
