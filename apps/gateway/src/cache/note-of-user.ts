import type { RedisClient } from '@sallyport/redis-connection';
import { mostOfUser } from './user-index.ts';

/**
 * Notes that a user has an answer in Redis, and returns those that are too many. KEYS: a hash, by the name of each answer
 * the time of Redis in milliseconds when it was noted. ARGV: the name, for how long its record is kept, in milliseconds,
 * and how many a user may have.
 *
 * Others may have written to the key: one of another type, or with far too many fields, is removed, a time that is none
 * or lies ahead counts as the oldest, and a field that is too long is not returned.
 */
const script = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local size = redis.pcall('HLEN', KEYS[1])
if type(size) ~= 'number' or size > 64 then redis.call('DEL', KEYS[1]) end
local all, others, surplus = redis.call('HGETALL', KEYS[1]), {}, {}
for i = 1, #all, 2 do
  local at = tonumber(all[i + 1]) or 0
  if all[i] ~= ARGV[1] then others[#others + 1] = {all[i], at <= now and at or 0} end
end
table.sort(others, function(one, other) return one[2] < other[2] end)
for i = 1, #others + 1 - tonumber(ARGV[3]) do
  redis.call('HDEL', KEYS[1], others[i][1])
  if #others[i][1] <= 64 then surplus[#surplus + 1] = others[i][1] end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return surplus`;

/** How names of answers look: whatever else is noted there was not noted by us, and is no part of a key. */
const namePattern = /^[\w-]{43}$/;

/**
 * In a cluster the answers are on other nodes than the note of them, so the caller removes them.
 *
 * @param key of the user
 * @param lifetime milliseconds for which the answer is kept
 * @returns the names of answers to remove
 */
export async function noteOfUser(
  client: Pick<RedisClient, 'eval'>,
  key: string,
  name: string,
  lifetime: number,
): Promise<readonly string[]> {
  const surplus = await client.eval(script, 1, key, name, lifetime, mostOfUser);
  return (surplus as unknown[]).filter((one): one is string => typeof one === 'string' && namePattern.test(one));
}
