import type { RedisServer } from '@sallyport/test-servers/redis';
import { keyPrefix } from '../../shared-redis/testing/opened-shared-redis.ts';

/** The keys of all cached answers in Redis, without the notes of whose they are. */
export async function recordsIn(redis: RedisServer): Promise<string[]> {
  return (await redis.client().keys(`${keyPrefix}cache:*`)).sort();
}
