import { hash } from 'node:crypto';
import type { LockoutConfig } from '../../config/types.ts';
import { openText, sealText } from '../sealing/seal.ts';
import { type ProbedRedis, type SharedRedis, toPairs } from '../shared-redis/shared-redis.ts';
import { abandonedAfter } from './local-guard.ts';
import { createRecords } from './shared-records.ts';
import { changeHashScript, readHashScript } from './shared-scripts.ts';

/*
 * The hash of a subject is named by a digest (see `shared-records.ts`), so nothing in it shows whose attempts it counts. For
 * `sallyport lockouts`, a replica whose attempt was refused, or not sent, also writes the name, sealed, into a hash of that hour:
 *
 *   lockout:{names}:<hour>    <digest of the subject> → [authenticator, subject, username], sealed
 *
 * It expires by itself. Someone who can write to that Redis can remove a name from the list, and can't add one.
 */

/** The user whose attempts are counted. */
export interface CountedName {
  readonly authenticator: string;
  /** The user as the backend knows them. For LDAP it is a DN. */
  readonly subject: string;
  /** The username of a decision, without the prefix of the config. */
  readonly username: string;
}

/** The refused attempts of one user, as all replicas count them. */
export type Lockout = Readonly<NonNullable<Awaited<ReturnType<typeof readLockout>>>>;

type LockoutSubject = Pick<CountedName, 'authenticator' | 'subject'>;

const sealedFor = 'lockout names';
/** An hour in milliseconds. */
const hour = 3_600_000;
/** The number of hashes that are read at one time. */
const batch = 100;

/** Makes the key of the hash of a subject's attempts. A name is not secret, so its digest needs no key. */
export function makeSubjectKey(
  { keyPrefix }: Pick<SharedRedis, 'keyPrefix'>,
  name: LockoutSubject,
): string {
  return `${keyPrefix}lockout:{${digestSubject(name)}}`;
}

function digestSubject({ authenticator, subject }: LockoutSubject): string {
  return hash('sha256', JSON.stringify([authenticator, subject]), 'base64url');
}

function makeNamesKey({ keyPrefix }: Pick<SharedRedis, 'keyPrefix'>, hours: number): string {
  return `${keyPrefix}lockout:{names}:${hours}`;
}

/**
 * Writes the name of a refused attempt, in the background.
 *
 * @param time Redis' time, milliseconds since 1970
 * @param lifetime milliseconds for which the attempts of the name may count
 */
export function noteName(
  redis: SharedRedis,
  name: CountedName,
  time: number,
  lifetime: number,
): void {
  const [sealingKey] = redis.sealingKeys;
  if (sealingKey === undefined) return;
  const key = makeNamesKey(redis, Math.floor(time / hour));
  const field = digestSubject(name);
  const plain = JSON.stringify([name.authenticator, name.subject, name.username]);
  const value = sealText(sealingKey, sealedFor, field, plain);
  const ttl = hour + lifetime;
  redis.send('lockout', (client) =>
    client.eval(changeHashScript, 1, key, ttl, 2 * ttl, 0, field, value),
  );
}

/** Reads the users whose refused attempts count now, in the order of their names. It changes no count. @throws RedisProblem */
export async function readLockouts(
  redis: ProbedRedis,
  settings: LockoutConfig,
): Promise<readonly Lockout[]> {
  const { now } = await readHash(redis, makeNamesKey(redis, 0));
  const oldest = Math.floor((now - settings.window - abandonedAfter) / hour);
  const names = new Map<string, CountedName>();
  for (let hours = oldest; hours <= now / hour; hours++) {
    const { fields } = await readHash(redis, makeNamesKey(redis, hours));
    for (const [field, value] of toPairs(fields)) {
      // A value that no gateway with these keys wrote for that field is ignored.
      const plain = openText(redis.sealingKeys, sealedFor, field, value);
      if (plain === undefined) continue;
      const [authenticator, subject, username] = JSON.parse(plain) as [string, string, string];
      names.set(field, { authenticator, subject, username });
    }
  }
  const countedNames = [...names.values()];
  const lockouts: Lockout[] = [];
  for (let start = 0; start < countedNames.length; start += batch) {
    const reads = countedNames
      .slice(start, start + batch)
      .map((name) => readLockout(redis, name, settings));
    for (const lockout of await Promise.all(reads))
      if (lockout !== undefined) lockouts.push(lockout);
  }
  const makeSortKey = ({ authenticator, username }: Lockout) =>
    JSON.stringify([authenticator, username]);
  return lockouts.sort((a, b) => (makeSortKey(a) < makeSortKey(b) ? -1 : 1));
}

/** Forgets the attempts of a user in Redis, but no password that is known to be right. @throws RedisProblem */
export async function clearLockout(redis: ProbedRedis, name: CountedName): Promise<void> {
  const key = makeSubjectKey(redis, name);
  const { fields } = await readHash(redis, key);
  const attempts = toPairs(fields).flatMap(([field]) => (field.startsWith('try:') ? [field] : []));
  if (attempts.length > 0) await redis.probe('lockout', (client) => client.hdel(key, ...attempts));
}

async function readLockout(
  redis: ProbedRedis,
  name: CountedName,
  { window, maxFailures }: LockoutConfig,
) {
  const key = makeSubjectKey(redis, name);
  const { now, fields } = await readHash(redis, key);
  const lifetimes = { window, abandonedAfter, knownFor: 0 };
  const { attempts } = createRecords(redis, key).read(fields, now, lifetimes);
  const ends = attempts
    .flatMap(({ state, time }) => (state === 'pending' ? [] : [time + window]))
    .sort((a, b) => b - a);
  const [last] = ends;
  if (last === undefined) return undefined;
  // The next attempt may be sent when fewer than maxFailures count.
  const until = ends[maxFailures - 1];
  return {
    ...name,
    /** The number of attempts that count: refused, or without a known outcome. */
    refused: ends.length,
    /** Whether only passwords that were right before are sent. */
    isLockedOut: until !== undefined,
    /**
     * When the lockout ends, or for a user who is not locked out, when the last attempt stops counting: milliseconds since
     * 1970 by Redis' clock.
     */
    until: until ?? last,
  };
}

async function readHash(redis: ProbedRedis, key: string) {
  const reply = await redis.probe('lockout', (client) => client.eval(readHashScript, 1, key));
  const [now, fields] = reply as [string, string[]];
  return { now: Number(now), fields };
}
