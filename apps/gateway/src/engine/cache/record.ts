import type { Authenticated, Decision } from '@sallyport/authenticator';
import type { Clocks } from '../../base/clocks.ts';
import type { CacheLifetimes } from '../../config/types.ts';
import { readDecision } from '../chain/decision.ts';

/** A positive decision, and what says how long it may be used. */
export interface CacheRecord {
  readonly decision: Authenticated;
  /** When the backend gave it: wall clock of the replica that asked, milliseconds since 1970. */
  readonly answeredAt: number;
  /** The revision of the revocation list that was known when the backend was asked. */
  readonly revision: number;
}

/**
 * The version of the shape of `StoredRecord`, which is a part of each name in Redis (`names.ts`). A change of the shape must change it, so that
 * nothing that was cached before is read. Version 2 has `credential` and `session`: without them, a block of a `jti` would have no effect.
 */
export const recordFormat = 2;

/** A record as Redis holds it. */
export interface StoredRecord extends CacheRecord {
  /** The time to live that Redis was given, in milliseconds. What is left of it shows the age by a clock that all share. */
  readonly ttl: number;
}

export function encodeRecord({ decision, answeredAt, revision, ttl }: StoredRecord): string {
  const { user, credential, audiences, expiresAt, session } = decision;
  const fields = { user, credential, audiences, expiresAt: expiresAt?.getTime(), session };
  return JSON.stringify({ answeredAt, revision, keptFor: ttl, ...fields });
}

/** @returns undefined if the text is not a record: it was sealed, so another version of the gateway wrote it */
export function decodeRecord(text: string): StoredRecord | undefined {
  try {
    const { answeredAt, revision, keptFor: ttl, expiresAt, ...fields } = JSON.parse(text);
    const end = expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) };
    const decision = readDecision({ ...fields, ...end, kind: 'authenticated' });
    const isValid =
      Number.isFinite(answeredAt) && Number.isFinite(ttl) && Number.isSafeInteger(revision);
    return isValid && decision.kind === 'authenticated'
      ? { decision, answeredAt, revision, ttl }
      : undefined;
  } catch {
    return undefined;
  }
}

/** Estimates the bytes of memory that a decision takes: UTF-16, and the overhead of each string. */
export function estimateSize(decision: Authenticated): number {
  const { user, credential = {}, audiences = [], session = '' } = decision;
  const { username, uid = '', groups = [], extra = {} } = user;
  const { jti = '', sid = '' } = credential;
  const texts = [
    username,
    uid,
    jti,
    sid,
    session,
    ...groups,
    ...audiences,
    ...Object.entries(extra).flat(2),
  ];
  return texts.reduce((sum, text) => sum + 32 + text.length * 2, 256);
}

/**
 * Copies a decision and its strings. V8 does not copy a substring: a name that a plugin cut out of a token would
 * hold the whole token in memory, password included, for as long as the answer is cached.
 */
export function copyDecision(decision: Decision): Decision {
  return decision.kind === 'no-opinion' ? decision : readDecision(structuredClone(decision));
}

/** A record in this process. Its age and its end are known by two clocks. */
export interface PositiveEntry extends CacheRecord {
  /** When the backend gave it, on this process' monotonic clock. */
  readonly answeredMonotonic: number;
  /** When the token or the record in Redis expires, whichever is first, on the same clock. Infinity: neither expires. */
  readonly expiresMonotonic: number;
}

/**
 * Adds the times of the monotonic clock to a record.
 *
 * @param age milliseconds since the backend gave it, as far as its tier knows. Default: 0
 * @param left milliseconds until no one may use it any more. Default: Infinity
 */
export function toEntry(
  record: CacheRecord,
  clocks: Clocks,
  {
    age = 0,
    timeLeft = Number.POSITIVE_INFINITY,
  }: { readonly age?: number; readonly timeLeft?: number } = {},
): PositiveEntry {
  const [now, wall] = [clocks.monotonic(), clocks.wall()];
  return {
    ...record,
    // The greater age counts: a clock that is behind must not make anything younger.
    answeredMonotonic: now - Math.max(age, wall - record.answeredAt),
    expiresMonotonic: now + Math.min(findExpiry(record) - wall, timeLeft),
  };
}

/** When the token expires, by the wall clock. Infinity: never. */
function findExpiry({ decision }: Pick<CacheRecord, 'decision'>): number {
  return decision.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
}

/** Milliseconds since the backend gave an entry: the greater age by two clocks. */
export function measureAge(
  entry: Pick<PositiveEntry, 'answeredAt' | 'answeredMonotonic'>,
  clocks: Clocks,
): number {
  return Math.max(clocks.monotonic() - entry.answeredMonotonic, clocks.wall() - entry.answeredAt);
}

/**
 * Whether an entry is younger than `lifetime`, and neither its token nor its record in Redis has expired, each by both clocks.
 */
function isWithin(lifetime: number, entry: PositiveEntry, clocks: Clocks): boolean {
  const [wall, monotonic] = [clocks.wall(), clocks.monotonic()];
  const isYoung =
    wall - entry.answeredAt < lifetime && monotonic - entry.answeredMonotonic < lifetime;
  return isYoung && wall < findExpiry(entry) && monotonic < entry.expiresMonotonic;
}

/** The maximum age of a positive entry in a replica that is cut off from the revocation list. Milliseconds. */
const maxAgeCutOff = 10_000;

/** When an entry stops being usable, fresh or stale: wall clock, milliseconds since 1970. */
export function findEndOfUse(
  entry: PositiveEntry,
  { authenticatedTtl, staleTtl }: CacheLifetimes,
  clocks: Clocks,
): number {
  const timeLeft = Math.min(
    authenticatedTtl + staleTtl - measureAge(entry, clocks),
    entry.expiresMonotonic - clocks.monotonic(),
  );
  return clocks.wall() + timeLeft;
}

/** Whether an entry may be used instead of asking the backend. */
export function isFresh(
  entry: PositiveEntry,
  lifetimes: CacheLifetimes,
  clocks: Clocks,
  isCutOff: boolean,
): boolean {
  const { authenticatedTtl } = lifetimes;
  const lifetime = isCutOff ? Math.min(authenticatedTtl, maxAgeCutOff) : authenticatedTtl;
  return isWithin(lifetime, entry, clocks);
}

/** Whether an entry may still be used: fresh, or stale while the backend is unavailable. */
export function isUsable(entry: PositiveEntry, lifetimes: CacheLifetimes, clocks: Clocks): boolean {
  return isWithin(lifetimes.authenticatedTtl + lifetimes.staleTtl, entry, clocks);
}
