import { afterAll } from 'vitest';
import { type RedisOptions, type RedisServer, startRedis } from './redis.ts';

/** A Redis for all tests of a file, stopped after the last one. At the top of the file: `await redisForFile()`. */
export async function redisForFile(options?: RedisOptions): Promise<RedisServer> {
  const redis = await startRedis(options);
  afterAll(() => redis[Symbol.asyncDispose]());
  return redis;
}
