import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { createMemoryTier } from '../cache/memory-tier.ts';
import { isUsable } from '../cache/record.ts';
import type { GatewayConfig } from '../config/types.ts';
import { createCacheMetrics } from '../metrics/cache-metrics.ts';
import type { RevocationList } from '../revocation/list.ts';
import { createSharedRevocations, pollInterval } from '../revocation/reader.ts';
import { newReplicaId } from '../revocation/replicas.ts';
import type { Entry } from '../revocation/types.ts';
import { createRedisPool } from '../shared-redis/redis-pool.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import type { Caching } from './generation.ts';

/** What outlives a reload of the config: the cache in memory, and who is stopped. */
export interface SharedState {
  readonly caching: Caching;
  readonly blocks: RevocationList;
  /** Milliseconds since the revocation list was read; undefined where no Redis is shared. Infinity: never. */
  readonly listAge: number | undefined;
  /** Takes over the bounds of another config, and counts the lookups of its authenticators. */
  resize(config: GatewayConfig): void;
  /** Reads the revocation list once, and from then on every 500 ms. A Redis that is down holds up no start. It calls `onAct`. */
  start(): Promise<void>;
  /** Ends that, and tells the other replicas' commands not to wait for this one. */
  stop(): Promise<void>;
}

export interface SharedStateDependencies {
  readonly config: GatewayConfig;
  /** That of the config which runs. */
  readonly redis: () => ProbedRedis | undefined;
  readonly registry: Registry;
  /** Called with each entry of the revocation list that this process did not know. */
  readonly onAct: (entry: Entry) => void;
  readonly logger: Logger;
  /** Called when an operator has unlocked a user. */
  readonly onUnlock: (entry: Entry) => void;
}

/** How often what nobody may use any more is dropped from memory, in milliseconds. */
const sweepInterval = 30_000;

export function createSharedState(dependencies: SharedStateDependencies): SharedState {
  const { config, redis, registry, onAct, onUnlock, logger } = dependencies;
  const clocks = { monotonic: () => performance.now(), wall: () => Date.now() };
  const memory = createMemoryTier(config.cache.memory.maxEntries);
  const metrics = createCacheMetrics(registry, () => ({
    memoryEntries: memory.entries,
    revocationListAge: reader.age === undefined ? undefined : reader.age / 1000,
    blocks: list.blocks.length,
  }));
  metrics.follow(config);
  const { list, reader, revocations } = createSharedRevocations({
    redis,
    clocks,
    replicaId: newReplicaId(),
    onAdopted(entry) {
      metrics.adopted(entry);
      onAct(entry);
      if (entry.action === 'unlock') onUnlock(entry);
    },
    onForeign: metrics.foreignKeys,
    logger,
  });
  let lifetimes = longestLifetimes(config);
  const timers: NodeJS.Timeout[] = [];

  return {
    caching: { memory, revocations, metrics, redis: createRedisPool({ logger, onError: metrics.redisError }) },
    blocks: list,
    get listAge() {
      return reader.age;
    },
    resize(next) {
      memory.resize(next.cache.memory.maxEntries);
      lifetimes = longestLifetimes(next);
      metrics.follow(next);
    },
    async start() {
      await reader.poll();
      timers.push(
        setInterval(reader.poll, pollInterval),
        setInterval(() => memory.sweep((entry) => isUsable(entry, lifetimes, clocks)), sweepInterval),
      );
      for (const timer of timers) timer.unref();
    },
    async stop() {
      for (const timer of timers) clearInterval(timer);
      await reader.leave();
    },
  };
}

/** The longest that any answer may be used. */
function longestLifetimes({ cache, authenticators }: GatewayConfig): typeof cache {
  const all = authenticators.flatMap((one) => (one.cache === 'off' ? [] : [one.cache]));
  const most = (key: 'authenticatedTtl' | 'staleTtl') => Math.max(0, ...all.map((one) => one[key]));
  return { ...cache, authenticatedTtl: most('authenticatedTtl'), staleTtl: most('staleTtl') };
}
