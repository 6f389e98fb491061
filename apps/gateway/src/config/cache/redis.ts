import { duration, section, value } from '@sallyport/plugin-options';
import { type ClearTextTerms, connectionShape, settleConnection } from '@sallyport/redis-connection/options';
import type { z } from 'zod';
import type { CacheRedisConfig } from '../types.ts';
import { isObject } from '../unknown-keys.ts';
import { sealingKeys } from './sealing-keys.ts';

/** Milliseconds. Beyond `timeout` no review waits; this is when a command is given up for good. */
const commandTimeout = 1_000;

const terms: ClearTextTerms = {
  risk: 'whoever is on the wire learns the password of Redis, and can hold back revocations',
  consent: 'everybody on the wire may hold back revocations',
};

/** A prefix is part of patterns (SCAN, ACL rules) and must mean itself there; braces choose the slot in a cluster. */
const prefixPattern = String.raw`^(?:(?![{}*?[\\])[!-~]){1,64}$`;

const shape = {
  ...connectionShape(terms),
  sealingKeys,
  timeout: duration('What Redis may cost one review in all; less than server.reviewTimeout.', {
    least: { value: 10, text: '10ms' },
    most: { value: 5_000, text: '5s' },
  }).prefault('100ms'),
  keyPrefix: value({ description: 'What stands before every key.', pattern: prefixPattern }, (input) => {
    if (typeof input === 'string' && new RegExp(prefixPattern).test(input)) return { value: input };
    const problem = 'must be visible ASCII without { } * ? [ and \\, 1 to 64 characters';
    return { problem, fix: 'write sallyport:' };
  }).prefault('sallyport:'),
};

/** `cache.redis`, secrets in place. */
export const cacheRedis: z.ZodType<CacheRedisConfig> = section(
  shape,
  '{ url: rediss://redis.example.com:6379, sealingKeys: [{ env: SALLYPORT_CACHE_KEY }] }',
  (keys, complain): CacheRedisConfig | undefined => {
    const connection = settleConnection(keys, { commandTimeout, terms }, complain);
    const { timeout, keyPrefix } = keys;
    return connection && { connection, timeout, keyPrefix, sealingKeys: keys.sealingKeys };
  },
).describe('The Redis that all replicas share. Left out: each replica remembers for itself.');

/** A `cache.redis` with problems, made good for rules that look at what was good of it: its `timeout`. */
export function withGoodParts(redis: unknown): unknown {
  const { timeout } = isObject(redis) ? redis : {};
  const key = Buffer.alloc(32).toString('base64');
  return { url: 'unix:/redis.sock', sealingKeys: [key], ...(timeout !== undefined && { timeout }) };
}
