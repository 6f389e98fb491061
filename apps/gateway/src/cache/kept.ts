import type { Clocks } from '../clocks.ts';
import type { CacheLifetimes } from '../config/types.ts';
import type { CacheRecord } from './record.ts';

/** A record in the hands of this process: its age and its end are known on two clocks. */
export interface Kept extends CacheRecord {
  /** When the backend gave it, on this process' monotonic clock. */
  readonly answeredMonotonic: number;
  /** When the token ends, or Redis would have let go of it, on the same clock; Infinity for neither. */
  readonly expiresMonotonic: number;
}

/** What the tier that a record came from can tell of its time, in milliseconds. */
export interface TierTime {
  /** Since the backend gave it. */
  readonly age: number;
  /** Until nobody may use it any more; Infinity: not known. */
  readonly left: number;
}

/** Of an answer that the backend gave now. */
export const newest: TierTime = { age: 0, left: Number.POSITIVE_INFINITY };

export function keep(record: CacheRecord, clocks: Clocks, { age, left }: TierTime): Kept {
  const [now, wall] = [clocks.monotonic(), clocks.wall()];
  const end = record.decision.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
  return {
    ...record,
    // The older of the two: a clock that runs behind must not make anything younger.
    answeredMonotonic: now - Math.max(age, wall - record.answeredAt),
    expiresMonotonic: now + Math.min(end - wall, left),
  };
}

/** Milliseconds since the backend gave it, by the clock that says more. */
export function ageOf(
  { answeredAt, answeredMonotonic }: Pick<Kept, 'answeredAt' | 'answeredMonotonic'>,
  clocks: Clocks,
): number {
  return Math.max(clocks.monotonic() - answeredMonotonic, clocks.wall() - answeredAt);
}

/** Whether the token itself has ended, or its record in Redis, by either clock. */
function hasExpired({ decision, expiresMonotonic }: Kept, clocks: Clocks): boolean {
  const end = decision.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
  return clocks.wall() >= end || clocks.monotonic() >= expiresMonotonic;
}

/** A replica that is cut off from the revocation list believes a cached yes no longer than this. Milliseconds. */
const longestCutOff = 10_000;

/** Whether it stands for an answer of the backend. */
export function isFresh(kept: Kept, { authenticatedTtl }: CacheLifetimes, clocks: Clocks, isCutOff: boolean): boolean {
  const lifetime = isCutOff ? Math.min(authenticatedTtl, longestCutOff) : authenticatedTtl;
  return ageOf(kept, clocks) < lifetime && !hasExpired(kept, clocks);
}

/** Whether it may still be used: fresh, or in place of an answer that the backend can't give. */
export function isUsable(kept: Kept, { authenticatedTtl, staleTtl }: CacheLifetimes, clocks: Clocks): boolean {
  return ageOf(kept, clocks) < authenticatedTtl + staleTtl && !hasExpired(kept, clocks);
}
