import { timingSafeEqual } from 'node:crypto';
import type { SharedRedis } from '../shared-redis/types.ts';
import { type CountedTry, createFingerprint } from './ledger.ts';

/*
 * What all replicas know of the tries of one subject is a hash in Redis:
 *
 *   try:<id>         <pending or refused> <time> <secret> <MAC>
 *   known:<secret>   right <time> <secret> <MAC>
 *
 * Times are Redis' own milliseconds, as the replica that writes knows them, so that the clocks of replicas don't matter.
 * Secrets are keyed digests. The MAC binds all of it to its field and its hash: whoever writes that Redis can remove a
 * record and put it back until it expires, and nothing else.
 */

type State = 'pending' | 'refused' | 'right';

export interface SharedTryRecord extends CountedTry {
  readonly secret: string;
  /** Redis' milliseconds: when it was refused or abandoned, and until then when it began. */
  readonly time: number;
}

/** The records of a hash, as far as they can be believed. */
export interface SharedRecords {
  readonly tries: readonly SharedTryRecord[];
  /** When each secret was last right. */
  readonly known: ReadonlyMap<string, number>;
  /** Fields that have expired. */
  readonly expired: readonly string[];
  /** Fields that no gateway with these keys wrote here. */
  readonly foreign: readonly string[];
}

/** Milliseconds. */
export interface Lifetimes {
  readonly window: number;
  readonly abandonedAfter: number;
  readonly knownFor: number;
}

/** Milliseconds by which a time may differ from Redis' clock: more than a call takes. A later time is not believed. */
export const tolerance = 5_000;

export const tryField = (id: string): string => `try:${id}`;
export const knownField = (secret: string): string => `known:${secret}`;

export interface RecordsOfSubject {
  /** @returns field and value */
  write(field: string, state: State, time: number, secret: string): [string, string];
  /**
   * @param fields names and values in turn
   * @param now Redis' milliseconds
   */
  read(fields: readonly string[], now: number, lifetimes: Lifetimes): SharedRecords;
}

/** @param key of the hash */
export function createRecords({ sealingKeys }: Pick<SharedRedis, 'sealingKeys'>, key: string): RecordsOfSubject {
  const macs = sealingKeys.map((sealingKey) => createFingerprint(sealingKey.derive('lockout records')));
  const [writeMac] = macs;
  if (writeMac === undefined) throw new RangeError('there must be a sealing key');

  function readOne(field: string, value: string): Authentic | undefined {
    const [, state = '', time = '', secret = '', mac = ''] = format.exec(value) ?? [];
    const isOurs = macs.some((make) => isEqual(make(key, field, state, time, secret), mac));
    return isOurs ? { field, state: state as State, time: Number(time), secret } : undefined;
  }
  return {
    write: (field, state, time, secret) => {
      const text = String(Math.round(time));
      return [field, `${state} ${text} ${secret} ${writeMac(key, field, state, text, secret)}`];
    },
    read(fields, now, lifetimes) {
      const foreign: string[] = [];
      const authentic: Authentic[] = [];
      for (let index = 0; index < fields.length; index += 2) {
        const [field = '', value = ''] = fields.slice(index, index + 2);
        const one = readOne(field, value);
        if (one === undefined) foreign.push(field);
        else authentic.push(one);
      }
      return { foreign, ...inForce(authentic, now, lifetimes) };
    },
  };
}

const format = /^(pending|refused|right) (\d{1,15}) ([\w-]{43}) ([\w-]{43})$/;

interface Authentic {
  readonly field: string;
  readonly state: State;
  readonly time: number;
  readonly secret: string;
}

function inForce(
  records: readonly Authentic[],
  now: number,
  { window, abandonedAfter, knownFor }: Lifetimes,
): Omit<SharedRecords, 'foreign'> {
  const tries: SharedTryRecord[] = [];
  const known = new Map<string, number>();
  const expired: string[] = [];
  /** By secret: when the last of its tries began whose outcome no one knows. */
  const abandoned = new Map<string, number>();
  const lasts = (time: number, lifetime: number) => time + lifetime > now && time <= now + tolerance;
  for (const { field, state, time, secret } of records) {
    if (state === 'right') continue;
    const isAbandoned = state === 'pending' && time + abandonedAfter <= now;
    const one: SharedTryRecord = isAbandoned
      ? { state: 'abandoned', time: time + abandonedAfter, secret }
      : { state, time, secret };
    if (isAbandoned) abandoned.set(secret, Math.max(time, abandoned.get(secret) ?? 0));
    if (lasts(one.time, one.state === 'pending' ? abandonedAfter : window)) tries.push(one);
    else expired.push(field);
  }
  for (const { field, state, time, secret } of records) {
    if (state !== 'right') continue;
    if (lasts(time, knownFor) && time > (abandoned.get(secret) ?? 0)) known.set(secret, time);
    else expired.push(field);
  }
  return { tries, known, expired };
}

function isEqual(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}
