import { timingSafeEqual } from 'node:crypto';
import { type SharedRedis, toPairs } from '../shared-redis/shared-redis.ts';
import { type CountedAttempt, createFingerprint } from './local-guard.ts';

/*
 * What all replicas know of the attempts of one subject is a hash in Redis:
 *
 *   try:<id>         <pending or refused> <time> <secret> <MAC>    without an answer: pending, of long ago
 *   try:<secret>     refused <time> <secret> <MAC>: it was right before
 *   known:<secret>   right <time> <secret> <MAC>
 *
 * Times are Redis' own milliseconds, as the replica that writes knows them, so that the clocks of replicas don't matter.
 * Secrets are keyed digests. The MAC binds the whole record to its field and its hash: another client that can write to that
 * Redis can remove a record, and put it back until it expires, and nothing else.
 */

type State = 'pending' | 'refused' | 'right';

interface AuthenticRecord {
  readonly field: string;
  readonly state: State;
  readonly time: number;
  readonly secret: string;
}

export interface SharedAttemptRecord extends CountedAttempt {
  readonly field: string;
  readonly secret: string;
  /** When it was refused or abandoned, or if it is in progress, when it began. Redis' milliseconds. */
  readonly time: number;
}

/** How long records count, in milliseconds. */
export interface Lifetimes {
  readonly window: number;
  readonly abandonedAfter: number;
  readonly knownFor: number;
}

/** How much a time may differ from Redis' clock, in milliseconds: more than a call takes. A later time is ignored. */
export const tolerance = 5_000;

export const attemptField = (id: string): string => `try:${id}`;
export const knownField = (secret: string): string => `known:${secret}`;

const format = /^(pending|refused|right) (\d{1,15}) ([\w-]{43}) ([\w-]{43})$/;

/** @param key of the hash */
export function createRecords({ sealingKeys }: Pick<SharedRedis, 'sealingKeys'>, key: string) {
  const macs = sealingKeys.map((sealingKey) =>
    createFingerprint(sealingKey.derive('lockout records')),
  );
  const [writeMac] = macs;
  if (writeMac === undefined) throw new RangeError('there must be a sealing key');

  function readRecord(field: string, value: string): AuthenticRecord | undefined {
    const [, state = '', time = '', secret = '', mac = ''] = format.exec(value) ?? [];
    const isOurs = macs.some((make) => isEqual(make(key, field, state, time, secret), mac));
    return isOurs ? { field, state: state as State, time: Number(time), secret } : undefined;
  }
  return {
    /** @returns field and value */
    write(field: string, state: State, time: number, secret: string): [string, string] {
      const text = String(Math.round(time));
      return [field, `${state} ${text} ${secret} ${writeMac(key, field, state, text, secret)}`];
    },
    /**
     * @param fields names and values in turn
     * @param now Redis' milliseconds
     * @returns the authentic records, and the fields that no gateway with these keys wrote here
     */
    read(fields: readonly string[], now: number, lifetimes: Lifetimes) {
      const foreign: string[] = [];
      const authentic: AuthenticRecord[] = [];
      for (const [field, value] of toPairs(fields)) {
        const record = readRecord(field, value);
        if (record === undefined) foreign.push(field);
        else authentic.push(record);
      }
      return { foreign, ...selectInForce(authentic, now, lifetimes) };
    },
  };
}

export type SharedRecords = ReturnType<ReturnType<typeof createRecords>['read']>;

/** @returns the attempts that count, when each secret was last right, and the fields that have expired */
function selectInForce(
  records: readonly AuthenticRecord[],
  now: number,
  { window, abandonedAfter, knownFor }: Lifetimes,
) {
  const attempts: SharedAttemptRecord[] = [];
  const rightTimes = new Map<string, number>();
  const expired: string[] = [];
  const lasts = (time: number, lifetime: number) =>
    time + lifetime > now && time <= now + tolerance;
  for (const { field, state, time, secret } of records) {
    if (state === 'right') continue;
    const isAbandoned = state === 'pending' && time + abandonedAfter <= now;
    const attempt: SharedAttemptRecord = isAbandoned
      ? { field, state: 'abandoned', time: time + abandonedAfter, secret }
      : { field, state, time, secret };
    if (lasts(attempt.time, attempt.state === 'pending' ? abandonedAfter : window))
      attempts.push(attempt);
    else expired.push(field);
  }
  for (const { field, state, time, secret } of records) {
    if (state !== 'right') continue;
    if (lasts(time, knownFor)) rightTimes.set(secret, time);
    else expired.push(field);
  }
  return { attempts, rightTimes, expired };
}

function isEqual(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
