import { resolve } from 'node:path';
import type { Metrics } from '@sallyport/authenticator';
import { connect } from '@sallyport/redis-connection';
import type { Logger } from 'pino';
import { loadWatchedFile, type WatchedFile } from '../../config/files/watcher.ts';
import type { CacheRedisConfig, GatewayConfig, SecondFactorConfig } from '../../config/types.ts';
import { createSharedRedis, type SharedRedisDependencies } from './shared-redis.ts';

/** The connection's own metrics are dropped: the gateway counts its calls of the cache Redis itself. */
const silentMetrics: Metrics = {
  counter: () => ({ inc: () => {} }),
  gauge: () => ({ set: () => {}, inc: () => {}, dec: () => {} }),
  histogram: () => ({ observe: () => {} }),
};

const minimalAcl = 'docs/redis.md (Permissions)';

/** What a connection is for, in its log lines and errors. */
const purposes = {
  cache: {
    fields: { cache: 'redis' },
    wording: {
      consequence: 'the cache is not shared',
      minimalAcl,
      wrongType: 'than the cache has',
    },
  },
  factors: {
    fields: { secondFactor: 'redis' },
    wording: {
      consequence: "users who can have a second factor can't log in",
      minimalAcl,
      wrongType: 'than a second factor has',
    },
  },
} as const;

type Purpose = keyof typeof purposes;

/**
 * The settings of a generation's lease: `cache.redis.timeout` in equal parts for the calls that a review waits for, so that
 * all of them together take no longer: the shared cache of each authenticator, and the lockout guard once. The guard's further
 * calls are extra. They are rare: Redis' clock was unknown, or one directory failed and the next one is asked.
 *
 * @returns undefined where the config has no cache Redis
 */
export function settingsForReviews(
  config: Pick<GatewayConfig, 'cache' | 'authenticators' | 'login'>,
) {
  const { authenticators, login } = config;
  const { redis } = config.cache;
  const sharedCaches = authenticators.filter(
    ({ cache }) => cache !== 'off' && cache.store === 'shared',
  );
  // The answer about the user of a session is shared too.
  const calls = sharedCaches.length + 1 + (login === undefined ? 0 : 1);
  if (redis === undefined) return undefined;
  const { startWithoutBlocks: _, ...settings } = redis;
  return { ...settings, timeout: redis.timeout / calls };
}

/** The settings of the connection to the Redis of second factors. Its records are sealed with the keys of the cache Redis. */
export function factorSettings(
  { redis }: SecondFactorConfig,
  { redis: cacheRedis }: GatewayConfig['cache'],
): PooledSettings {
  const timeout = redis.connection.commandTimeout;
  return { ...redis, timeout, sealingKeys: cacheRedis?.sealingKeys ?? [] };
}

/** The settings by which leases share a connection. */
type PooledSettings = Omit<CacheRedisConfig, 'startWithoutBlocks'>;

export type RedisPool = ReturnType<typeof createRedisPool>;

/** Shares connections to the cache Redis by their settings: a reload that changes none of these keeps the connection. */
export function createRedisPool({
  logger,
  onError,
}: Pick<SharedRedisDependencies, 'onError'> & { logger: Logger }) {
  const pooled = new Map<string, { readonly opening: ReturnType<typeof open>; leases: number }>();

  async function open(
    { connection: options, ...settings }: PooledSettings,
    base: string,
    purpose: Purpose,
  ) {
    const { fields, wording } = purposes[purpose];
    const files: WatchedFile[] = [];
    const connection = await connect(options, wording, {
      logger: logger.child(fields),
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
    /**
     * Gives one generation a share in a connection, with its TLS files. The generation must release it.
     *
     * @param settings see {@link settingsForReviews}
     * @param baseDirectory where relative paths of TLS files start
     * @throws Error when a TLS file can't be used. It does not throw when the server is down, since that may come up later
     */
    async acquire(settings: PooledSettings, baseDirectory: string, purpose: Purpose = 'cache') {
      const key = JSON.stringify([settings, baseDirectory, purpose]);
      const shared = pooled.get(key) ?? {
        opening: open(settings, baseDirectory, purpose),
        leases: 0,
      };
      pooled.set(key, shared);
      // It is counted before the first wait: a generation that gives back the only other share during it would close the connection.
      shared.leases++;
      const giveBack = (): boolean => {
        shared.leases--;
        if (shared.leases === 0) pooled.delete(key);
        return shared.leases === 0;
      };
      const { redis, files, close } = await shared.opening.catch((error: unknown) => {
        giveBack();
        throw error;
      });
      return {
        redis,
        files,
        /** Ends the connection when no one else has a share in it. */
        async release(): Promise<void> {
          if (giveBack()) await close();
        },
      };
    },
  };
}
