import type { RedisServer } from '@sallyport/test-servers/redis';
import { keyPrefix } from '../../shared-redis/testing/opened-shared-redis.ts';

/** Simulates that time passes for Redis, whose clock can't be set: reduces the time to live of each record. Milliseconds. */
export async function passInRedis(redis: RedisServer, time: number): Promise<void> {
  await redis.client().eval(script, 0, `${keyPrefix}cache:*`, time);
}

const script = `
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[2]) end
end
`;
