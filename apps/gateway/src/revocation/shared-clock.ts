import type { Clocks } from '../clocks.ts';

/** Redis' clock, which all replicas share: a block ends for all of them at one time, however wrong their own clocks are. */
export interface SharedClock {
  /** Milliseconds since 1970. This process' own clock until Redis was heard of. */
  now(): number;
  /** @param monotonic when Redis was asked, so that it is rather behind than ahead */
  set(time: number, monotonic: number): void;
}

export function createSharedClock(clocks: Clocks): SharedClock {
  let offset: number | undefined;
  return {
    now: () => (offset === undefined ? clocks.wall() : clocks.monotonic() + offset),
    set(time, monotonic) {
      offset = time - monotonic;
    },
  };
}
