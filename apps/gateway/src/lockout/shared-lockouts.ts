import { hash } from 'node:crypto';
import type { LockoutConfig } from '../config/types.ts';
import { openText, sealText } from '../sealing/seal.ts';
import { type ProbedRedis, pairsOf, type SharedRedis } from '../shared-redis/shared-redis.ts';
import { abandonedAfter } from './local-guard.ts';
import { createRecords } from './shared-records.ts';
import { changeScript, readScript } from './shared-scripts.ts';

/*
 * The hash of a subject is named by a digest (see `shared-records.ts`), so nothing in it shows whose attempts it counts. For
 * `sallyport lockouts`, a replica whose attempt was refused, or not sent, also writes the name, sealed, into a hash of that hour:
 *
 *   lockout:{names}:<hour>    <digest of the subject> → [authenticator, subject, username], sealed
 *
 * It expires by itself. Someone who can write to that Redis can remove a name from the list, and can't add one.
 */

/** Whose attempts are counted. */
export interface CountedName {
  readonly authenticator: string;
  /** As the backend knows it: for LDAP a DN. */
  readonly subject: string;
  /** As a decision would name the user, without the prefix. */
  readonly username: string;
}

/** The refused attempts of one user, as all replicas count them. */
export type Lockout = Readonly<NonNullable<Awaited<ReturnType<typeof readLockout>>>>;

type Subject = Pick<CountedName, 'authenticator' | 'subject'>;

const sealedFor = 'lockout names';
/** Milliseconds. */
const hour = 3_600_000;
/** Hashes that are read at one time. */
const batch = 100;

/** The hash of a subject's attempts. Names are no secrets, so it needs no key. */
export function subjectKey({ keyPrefix }: Pick<SharedRedis, 'keyPrefix'>, name: Subject): string {
  return `${keyPrefix}lockout:{${digestOf(name)}}`;
}

function digestOf({ authenticator, subject }: Subject): string {
  return hash('sha256', JSON.stringify([authenticator, subject]), 'base64url');
}

function namesKey({ keyPrefix }: Pick<SharedRedis, 'keyPrefix'>, hours: number): string {
  return `${keyPrefix}lockout:{names}:${hours}`;
}

/** Writes the name of a refused attempt at a time of Redis, whose attempts may count for `lifetime`. No one waits for it. */
export function noteName(redis: SharedRedis, name: CountedName, time: number, lifetime: number): void {
  const [sealingKey] = redis.sealingKeys;
  if (sealingKey === undefined) return;
  const key = namesKey(redis, Math.floor(time / hour));
  const field = digestOf(name);
  const plain = JSON.stringify([name.authenticator, name.subject, name.username]);
  const value = sealText(sealingKey, sealedFor, field, plain);
  const lives = hour + lifetime;
  redis.send('lockout', (client) => client.eval(changeScript, 1, key, lives, 2 * lives, 0, field, value));
}

/** Whose refused attempts count now, in the order of their names. It adds nothing to the counts. @throws RedisProblem */
export async function readLockouts(redis: ProbedRedis, settings: LockoutConfig): Promise<readonly Lockout[]> {
  const { now } = await readHash(redis, namesKey(redis, 0));
  const oldest = Math.floor((now - settings.window - abandonedAfter) / hour);
  const names = new Map<string, CountedName>();
  for (let at = oldest; at <= now / hour; at++) {
    const { fields } = await readHash(redis, namesKey(redis, at));
    for (const [field, value] of pairsOf(fields)) {
      // A value that no gateway with these keys wrote for that field is ignored.
      const plain = openText(redis.sealingKeys, sealedFor, field, value);
      if (plain === undefined) continue;
      const [authenticator, subject, username] = JSON.parse(plain) as [string, string, string];
      names.set(field, { authenticator, subject, username });
    }
  }
  const all = [...names.values()];
  const lockouts: Lockout[] = [];
  for (let at = 0; at < all.length; at += batch) {
    const read = all.slice(at, at + batch).map((name) => readLockout(redis, name, settings));
    for (const lockout of await Promise.all(read)) if (lockout !== undefined) lockouts.push(lockout);
  }
  const keyOf = ({ authenticator, username }: Lockout) => JSON.stringify([authenticator, username]);
  return lockouts.sort((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
}

/** Forgets the attempts of a user in that Redis, and no password that is known to be right. @throws RedisProblem */
export async function clearLockout(redis: ProbedRedis, name: CountedName): Promise<void> {
  const key = subjectKey(redis, name);
  const { fields } = await readHash(redis, key);
  const attempts = pairsOf(fields).flatMap(([field]) => (field.startsWith('try:') ? [field] : []));
  if (attempts.length > 0) await redis.probe('lockout', (client) => client.hdel(key, ...attempts));
}

async function readLockout(redis: ProbedRedis, name: CountedName, { window, maxFailures }: LockoutConfig) {
  const key = subjectKey(redis, name);
  const { now, fields } = await readHash(redis, key);
  const { attempts } = createRecords(redis, key).read(fields, now, { window, abandonedAfter, knownFor: 0 });
  const ends = attempts
    .flatMap(({ state, time }) => (state === 'pending' ? [] : [time + window]))
    .sort((a, b) => b - a);
  const [last] = ends;
  if (last === undefined) return undefined;
  // One more may go out when fewer than maxFailures count.
  const until = ends[maxFailures - 1];
  return {
    ...name,
    /** Attempts that count: refused, or without a known outcome. */
    refused: ends.length,
    /** Only passwords that were right before are sent. */
    isLockedOut: until !== undefined,
    /** Milliseconds since 1970 by Redis' clock: locked out until then, else when the last of the attempts stops counting. */
    until: until ?? last,
  };
}

async function readHash(redis: ProbedRedis, key: string) {
  const reply = await redis.probe('lockout', (client) => client.eval(readScript, 1, key));
  const [now, fields] = reply as [string, string[]];
  return { now: Number(now), fields };
}
