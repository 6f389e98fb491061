/** All keys have one hash tag, so that a cluster has them on one node and a script may use them together. */
export interface RevocationKeys {
  /** A text that changes with every change of the list. */
  readonly revision: string;
  /** A hash, see `entry-fields.ts`. */
  readonly list: string;
  /** A hash: by replica, when it was heard of and what it has taken in. */
  readonly replicas: string;
}

export function revocationKeys(keyPrefix: string): RevocationKeys {
  const key = (name: string) => `${keyPrefix}{revocations}:${name}`;
  return { revision: key('revision'), list: key('list'), replicas: key('replicas') };
}

const time = `
local now = redis.call('TIME')
local ms = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))`;

/**
 * Whether the list has changed. KEYS: revision, list, replicas. ARGV: the replica, and what it tells of itself. A Redis
 * that takes no writes now is read all the same.
 *
 * @returns the revision, the number of fields, Redis' time in milliseconds
 */
export const pollScript: string = `${time}
redis.pcall('HSET', KEYS[3], ARGV[1], ms .. ' ' .. ARGV[2])
return {redis.call('GET', KEYS[1]), redis.call('HLEN', KEYS[2]), ms}`;

/** KEYS: revision, list. Returns the revision, Redis' time in milliseconds, and the list's fields and values. */
export const listScript: string = `${time}
return {redis.call('GET', KEYS[1]), ms, redis.call('HGETALL', KEYS[2])}`;

/**
 * Changes the list unless somebody else did since it was read. KEYS: revision, list. ARGV: the revision that was read or
 * '', the next one, how many fields go, these, then fields and values that come. Returns 1, or 0 when nothing was done.
 */
export const changeScript: string = `
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
local gone = 3 + tonumber(ARGV[3])
for i = 4, gone do redis.call('HDEL', KEYS[2], ARGV[i]) end
for i = gone + 1, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 1`;

/** KEYS: replicas. Returns Redis' time in milliseconds, and the hash. */
export const replicasScript: string = `${time}
return {ms, redis.call('HGETALL', KEYS[1])}`;
