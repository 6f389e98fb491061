import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { createMemoryTier } from '../cache/memory-tier.ts';
import { isUsable } from '../cache/record.ts';
import { systemClocks } from '../clocks.ts';
import type { GatewayConfig } from '../config/types.ts';
import { createAttempts, type LockoutGuard } from '../lockout/attempts.ts';
import { createLockoutMetrics } from '../metrics/authenticator-metrics.ts';
import { createCacheMetrics } from '../metrics/cache-metrics.ts';
import { newReplicaId } from '../revocation/confirmation.ts';
import type { Entry, RevocationList } from '../revocation/list.ts';
import { createSharedRevocations, pollInterval } from '../revocation/reader.ts';
import { createRedisPool } from '../shared-redis/redis-pool.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import type { Caching } from './generation.ts';

/** What outlives a reload of the config: the cache in memory, who is blocked, and counts of refused tries. */
export interface SharedState {
  readonly caching: Caching;
  readonly blocks: RevocationList;
  /** The lockout guards of all authenticators. */
  readonly attempts: LockoutGuard;
  /** Milliseconds since the revocation list was read; undefined where no Redis is shared. Infinity: never. */
  readonly listAge: number | undefined;
  /** Uses the limits of another config, and counts the lookups of its authenticators. */
  resize(config: GatewayConfig): void;
  /** Reads the revocation list once, and then every 500 ms. It also starts while Redis is down. It calls `onAct`. */
  start(): Promise<void>;
  /** Ends that, and signs off, so that commands on other replicas do not wait for this one. */
  stop(): Promise<void>;
}

export interface SharedStateDependencies {
  /** The one in force. */
  readonly config: () => GatewayConfig;
  /** That of the config in force. */
  readonly redis: () => ProbedRedis | undefined;
  readonly registry: Registry;
  /** Called with each entry of the revocation list that this process did not know. */
  readonly onAct: (entry: Entry) => void;
  readonly logger: Logger;
}

/** Milliseconds between two sweeps of memory, which drop what is too old to be used. */
const sweepInterval = 30_000;

export function createSharedState(dependencies: SharedStateDependencies): SharedState {
  const { config, redis, registry, onAct, logger } = dependencies;
  const clocks = systemClocks;
  const attempts = createLockoutGuard(dependencies);
  const memory = createMemoryTier(config().cache.memory.maxEntries);
  const metrics = createCacheMetrics(registry, () => ({
    memoryEntries: memory.entries,
    revocationListAge: reader.age === undefined ? undefined : reader.age / 1000,
    blocks: list.blocks.length,
  }));
  metrics.follow(config());
  const { list, reader, revocations } = createSharedRevocations({
    redis,
    clocks,
    replicaId: newReplicaId(),
    onAdopted(entry) {
      metrics.adopted(entry);
      onAct(entry);
      if (entry.action === 'unlock') unlock(entry);
    },
    onForeign: metrics.foreignKeys,
    logger,
  });
  let lifetimes = longestLifetimes(config());
  const timers: NodeJS.Timeout[] = [];

  function unlock({ name: subject, by, reason }: Entry): void {
    attempts.unlock(subject, config().authenticators);
    logger.info({ subject, by, reason }, 'refused tries forgotten: an operator unlocked the user');
  }
  return {
    caching: { memory, revocations, metrics, redis: createRedisPool({ logger, onError: metrics.redisError }) },
    blocks: list,
    attempts,
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

/** The lockout guard of this process, with its metrics. */
function createLockoutGuard({ config, redis, registry }: SharedStateDependencies): LockoutGuard {
  const onForeign = createLockoutMetrics(registry, {
    names: () => config().authenticators.map(({ name }) => name),
    lockedOut: (authenticator) => attempts.lockedOut(authenticator),
  });
  const attempts = createAttempts(() => config().lockout, { now: systemClocks.monotonic, shared: redis, onForeign });
  return attempts;
}

/** The longest lifetimes that any answer has. */
function longestLifetimes({ cache, authenticators }: GatewayConfig): typeof cache {
  const all = authenticators.flatMap((one) => (one.cache === 'off' ? [] : [one.cache]));
  const most = (key: 'authenticatedTtl' | 'staleTtl') => Math.max(0, ...all.map((one) => one[key]));
  return { ...cache, authenticatedTtl: most('authenticatedTtl'), staleTtl: most('staleTtl') };
}
