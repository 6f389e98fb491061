import type { CacheRedisConfig, GatewayConfig } from '../../config/types.ts';
import { createLogger } from '../../logging/logger.ts';
import { createRedisPool } from '../../shared-redis/redis-pool.ts';
import type { ProbedRedis } from '../../shared-redis/shared-redis.ts';

/** The cache Redis of a config, and where the paths of its TLS files start. */
export interface CacheRedisPlace {
  readonly settings: CacheRedisConfig;
  readonly baseDirectory: string;
}

/** @returns undefined where the config has none */
export function cacheRedisOf({
  cache,
  baseDirectory,
}: Pick<GatewayConfig, 'cache' | 'baseDirectory'>): CacheRedisPlace | undefined {
  return cache.redis && { settings: cache.redis, baseDirectory };
}

/** @param command for the message: `block`. @throws Error when the config has none */
export function needCacheRedis(config: GatewayConfig, command: string): CacheRedisPlace {
  const place = cacheRedisOf(config);
  if (place !== undefined) return place;
  throw new Error(
    `${command} needs cache.redis, by which the gateways hear of it, and ${config.file} has none: add it (docs/configuration.md). ` +
      'Until then, revoke works for issued tokens, and the backend for its users; ' +
      'a restart empties the memory of a gateway',
  );
}

/** Has `work` done with a connection that ends after it. */
export async function withCacheRedis<Result>(
  { settings, baseDirectory }: CacheRedisPlace,
  work: (redis: ProbedRedis) => Promise<Result>,
): Promise<Result> {
  // What it could warn of, it throws too, and then it is told in words and not as a line of JSON.
  const pool = createRedisPool({ logger: createLogger('error'), onError: () => undefined });
  const lease = await pool.acquire(settings, baseDirectory);
  try {
    return await work(lease.redis);
  } finally {
    await lease.release();
  }
}
