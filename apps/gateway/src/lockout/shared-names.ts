import { createHash } from 'node:crypto';
import { open, seal } from '../sealing/seal.ts';
import type { SealingKey } from '../sealing/sealing-key.ts';
import type { SharedRedis } from '../shared-redis/types.ts';

/*
 * The hash of a subject is named by a digest (see `shared-records.ts`), so nothing in it says whose tries it counts. For
 * `sallyport lockouts`, a replica whose try was refused also notes the name, sealed, in a hash of that hour:
 *
 *   lockout:{names}:<hour>    <digest of the subject> → [authenticator, subject, username], sealed
 *
 * It ends by itself. Whoever writes that Redis can remove a name from the list, and put none into it.
 */

/** Whose tries are counted. */
export interface CountedName {
  readonly authenticator: string;
  /** As the backend knows it: for LDAP a DN. */
  readonly subject: string;
  /** As a decision would have it, without the prefix. */
  readonly username: string;
}

const period = 3_600_000;

/** The hash of a subject's tries. Names are no secrets, so it needs no key. */
export function subjectKey({ keyPrefix }: Pick<SharedRedis, 'keyPrefix'>, digest: string): string {
  return `${keyPrefix}lockout:{${digest}}`;
}

export function subjectDigest({ authenticator, subject }: Pick<CountedName, 'authenticator' | 'subject'>): string {
  return createHash('sha256')
    .update(JSON.stringify([authenticator, subject]))
    .digest('base64url');
}

/** KEYS[1]: the hash of names. ARGV: field, value, and milliseconds that it stays at least. */
const noteScript = `
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1`;

/**
 * Notes a name behind its review.
 *
 * @param time Redis' milliseconds
 * @param lifetime milliseconds that its tries may count
 */
export function noteName(redis: SharedRedis, name: CountedName, time: number, lifetime: number): void {
  const [sealingKey] = redis.sealingKeys;
  if (sealingKey === undefined) return;
  const key = namesKey(redis, Math.floor(time / period));
  const field = subjectDigest(name);
  const plain = Buffer.from(JSON.stringify([name.authenticator, name.subject, name.username]));
  const value = seal(keyFor(sealingKey), field, plain).toString('base64');
  redis.tell('lockout', (client) => client.eval(noteScript, 1, key, field, value, period + lifetime));
}

/** The hashes that may have names of tries which still count. */
export function namesKeys(redis: Pick<SharedRedis, 'keyPrefix'>, now: number, lifetime: number): readonly string[] {
  const [first, last] = [now - lifetime, now].map((time) => Math.floor(time / period)) as [number, number];
  return Array.from({ length: last - first + 1 }, (_, index) => namesKey(redis, first + index));
}

/** @returns undefined for what no gateway with these keys wrote for that field */
export function openName(field: string, value: string, keys: readonly SealingKey[]): CountedName | undefined {
  const bytes = Buffer.from(value, 'base64');
  const plain = keys.map((key) => open(keyFor(key), field, bytes)).find((one) => one !== undefined);
  if (plain === undefined) return undefined;
  const [authenticator, subject, username] = JSON.parse(plain.toString()) as [string, string, string];
  return { authenticator, subject, username };
}

function namesKey({ keyPrefix }: Pick<SharedRedis, 'keyPrefix'>, hour: number): string {
  return `${keyPrefix}lockout:{names}:${hour}`;
}

function keyFor(key: SealingKey): Uint8Array {
  return key.derive('lockout names');
}
