import { resolve } from 'node:path';
import type { Metrics } from '@sallyport/authenticator';
import { connect } from '@sallyport/redis-connection';
import type { Logger } from 'pino';
import type { CacheRedisConfig, GatewayConfig } from '../config/types.ts';
import { loadWatchedFile, type WatchedFile } from '../files/watcher.ts';
import { createSharedRedis, type ProbedRedis } from './shared-redis.ts';
import type { RedisUse } from './types.ts';

/** The share of one generation in a connection to the cache Redis. */
interface RedisLease {
  readonly redis: ProbedRedis;
  /** The TLS files of the connection. */
  readonly files: readonly WatchedFile[];
  /** Ends the connection when no one else has a share in it. */
  release(): Promise<void>;
}

/** Connections to the cache Redis, by their settings: a reload that changes none of them keeps the connection. */
export interface RedisPool {
  /**
   * @param settings see {@link settingsForReviews}
   * @param baseDirectory where relative paths of TLS files start
   * @throws Error when a TLS file can't be used. It does not throw when the server is down, which may come up later
   */
  acquire(settings: CacheRedisConfig, baseDirectory: string): Promise<RedisLease>;
}

export interface RedisPoolDependencies {
  readonly logger: Logger;
  readonly onError: (use: RedisUse) => void;
}

interface Pooled {
  readonly opening: Promise<Pick<RedisLease, 'redis' | 'files'> & { close(): Promise<void> }>;
  leases: number;
}

/** The connection's own metrics are dropped: the gateway counts its calls of the cache Redis itself. */
const silentMetrics: Metrics = {
  counter: () => ({ inc: () => {} }),
  gauge: () => ({ set: () => {}, inc: () => {}, dec: () => {} }),
  histogram: () => ({ observe: () => {} }),
};

const wording = {
  consequence: 'the cache is not shared',
  leastAcl: 'the least one in docs/operations.md',
  wrongType: 'than the cache has',
} as const;

/**
 * The settings of a generation's lease: `cache.redis.timeout` in equal parts for the calls that a review waits for, so that
 * together they cost it no more: the shared cache of each authenticator, and the lockout guard once. The guard's further
 * calls come on top. They are rare: Redis' clock was unknown, or one directory failed and the next one is asked.
 *
 * @returns undefined where the config has no cache Redis
 */
export function settingsForReviews({
  cache: { redis },
  authenticators,
  login,
}: Pick<GatewayConfig, 'cache' | 'authenticators' | 'login'>): CacheRedisConfig | undefined {
  const sharedCaches = authenticators.filter(({ cache }) => cache !== 'off' && cache.store === 'shared');
  // The answer about the user of a session is shared too.
  const calls = sharedCaches.length + 1 + (login === undefined ? 0 : 1);
  return redis && { ...redis, timeout: redis.timeout / calls };
}

export function createRedisPool({ logger, onError }: RedisPoolDependencies): RedisPool {
  const pooled = new Map<string, Pooled>();

  async function open({ connection: options, ...settings }: CacheRedisConfig, base: string): Pooled['opening'] {
    const files: WatchedFile[] = [];
    const connection = await connect(options, wording, {
      logger: logger.child({ cache: 'redis' }),
      metrics: silentMetrics,
      signal: new AbortController().signal,
      async watchFile(file, load, { limit } = {}) {
        files.push(await loadWatchedFile(resolve(base, file), load, limit));
      },
    });
    const now = () => performance.now();
    const redis = createSharedRedis(settings, { connection, now, logger, onError });
    return { redis, files, close: () => connection.close() };
  }

  return {
    async acquire(settings, baseDirectory) {
      const key = JSON.stringify([settings, baseDirectory]);
      const one = pooled.get(key) ?? { opening: open(settings, baseDirectory), leases: 0 };
      pooled.set(key, one);
      // Before the first wait: whoever gives back the last share during it must see this one.
      one.leases++;
      const giveBack = (): boolean => {
        one.leases--;
        if (one.leases === 0) pooled.delete(key);
        return one.leases === 0;
      };
      const { redis, files, close } = await one.opening.catch((error: unknown) => {
        giveBack();
        throw error;
      });
      return {
        redis,
        files,
        async release() {
          if (giveBack()) await close();
        },
      };
    },
  };
}
