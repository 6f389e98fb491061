import { resolve } from 'node:path';
import { connect } from '@sallyport/redis-connection';
import type { Logger } from 'pino';
import type { CacheRedisConfig } from '../config/types.ts';
import { loadWatchedFile, type WatchedFile } from '../files/watched-file.ts';
import { createSharedRedis, type ProbedRedis } from './shared-redis.ts';
import { silentMetrics } from './silent-metrics.ts';
import type { RedisUse } from './types.ts';

/** The share of one generation in a connection to the cache Redis. */
interface RedisLease {
  readonly redis: ProbedRedis;
  /** The TLS files of the connection. */
  readonly files: readonly WatchedFile[];
  /** Ends the connection when nobody else has a share in it. */
  release(): Promise<void>;
}

/** Connections to the cache Redis, by their settings: a reload that changes none of these goes on with the same one. */
export interface RedisPool {
  /**
   * @param baseDirectory where relative paths of TLS files start
   * @throws Error when a TLS file can't be used. A server that is down is no reason: it may come later
   */
  acquire(settings: CacheRedisConfig, baseDirectory: string): Promise<RedisLease>;
}

export interface RedisPoolDependencies {
  readonly logger: Logger;
  readonly onError: (use: RedisUse) => void;
}

interface Opened extends Pick<RedisLease, 'redis' | 'files'> {
  readonly close: () => Promise<void>;
}

interface Pooled {
  readonly opening: Promise<Opened>;
  leases: number;
}

const wording = {
  consequence: 'the cache is not shared',
  leastAcl: 'the least one in docs/operations.md',
  wrongType: 'than the cache has',
} as const;

export function createRedisPool({ logger, onError }: RedisPoolDependencies): RedisPool {
  const pooled = new Map<string, Pooled>();

  async function open({ connection: options, ...settings }: CacheRedisConfig, base: string): Promise<Opened> {
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
      // Before anything is waited for: who gives back the last share meanwhile must see this one.
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
