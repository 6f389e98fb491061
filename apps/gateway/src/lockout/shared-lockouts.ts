import type { LockoutConfig } from '../config/types.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { abandonedAfter } from './attempts.ts';
import { type CountedName, namesKeys, openName, subjectDigest, subjectKey } from './shared-names.ts';
import { createRecords } from './shared-records.ts';

/** The refused tries of one user, as all replicas count them. */
export interface Lockout extends CountedName {
  /** Tries that count: refused, or without a known outcome. */
  readonly refused: number;
  /** Only passwords that were right before are sent. */
  readonly isLockedOut: boolean;
  /** Milliseconds since 1970 by Redis' clock: locked out until then, else when the last of the tries counts no more. */
  readonly until: number;
}

/** KEYS[1]: a hash. Returns Redis' time in milliseconds, and fields and values in turn. */
const readScript = `
local clock = redis.call('TIME')
return {string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000)), redis.call('HGETALL', KEYS[1])}`;

/** Hashes that are read at one time. */
const batch = 100;

/**
 * Whose refused tries count now, in the order of their names. It adds nothing to the counts.
 *
 * @throws RedisProblem
 */
export async function readLockouts(redis: ProbedRedis, settings: LockoutConfig): Promise<readonly Lockout[]> {
  const { now } = await readHash(redis, subjectKey(redis, ''));
  const names = new Map<string, CountedName>();
  for (const key of namesKeys(redis, now, settings.window + abandonedAfter)) {
    const { fields } = await readHash(redis, key);
    for (const [field, value] of pairs(fields)) {
      const name = openName(field, value, redis.sealingKeys);
      if (name !== undefined) names.set(field, name);
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

/**
 * Forgets the tries of a user in that Redis, and no password that is known to be right.
 *
 * @throws RedisProblem
 */
export async function clearLockout(redis: ProbedRedis, name: CountedName): Promise<void> {
  const key = subjectKey(redis, subjectDigest(name));
  const { fields } = await readHash(redis, key);
  const tries = pairs(fields).flatMap(([field]) => (field.startsWith('try:') ? [field] : []));
  if (tries.length > 0) await redis.probe('lockout', (client) => client.hdel(key, ...tries));
}

async function readLockout(
  redis: ProbedRedis,
  name: CountedName,
  { window, maxFailures }: LockoutConfig,
): Promise<Lockout | undefined> {
  const key = subjectKey(redis, subjectDigest(name));
  const { now, fields } = await readHash(redis, key);
  const { tries } = createRecords(redis, key).read(fields, now, { window, abandonedAfter, knownFor: 0 });
  const ends = tries.flatMap(({ state, time }) => (state === 'pending' ? [] : [time + window])).sort((a, b) => b - a);
  const [last] = ends;
  if (last === undefined) return undefined;
  // One more may go out when fewer than maxFailures count.
  const until = ends[maxFailures - 1];
  return { ...name, refused: ends.length, isLockedOut: until !== undefined, until: until ?? last };
}

async function readHash(
  redis: ProbedRedis,
  key: string,
): Promise<{ readonly now: number; readonly fields: readonly string[] }> {
  const reply = await redis.probe('lockout', (client) => client.eval(readScript, 1, key));
  const [now, fields] = reply as [string, string[]];
  return { now: Number(now), fields };
}

function pairs(fields: readonly string[]): (readonly [string, string])[] {
  return Array.from({ length: fields.length / 2 }, (_, index) => [
    fields[2 * index] ?? '',
    fields[2 * index + 1] ?? '',
  ]);
}
