import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { createMemoryTier } from '../cache/memory-tier.ts';
import { isUsable } from '../cache/record.ts';
import { systemClocks } from '../clocks.ts';
import type { GatewayConfig } from '../config/types.ts';
import { createAttempts } from '../lockout/attempts.ts';
import { createLockoutGauge, createLockoutMetrics } from '../metrics/authenticator-metrics.ts';
import { createCacheGauges, createCacheMetrics } from '../metrics/cache-metrics.ts';
import type { Entry } from '../revocation/list.ts';
import { createSharedRevocations, pollInterval } from '../revocation/reader.ts';
import { nameReplica } from '../revocation/replicas.ts';
import { createRedisPool } from '../shared-redis/redis-pool.ts';
import type { Running } from './running.ts';

/** Milliseconds between two sweeps of memory, which drop what is too old to be used. */
const sweepInterval = 30_000;

export type SharedState = ReturnType<typeof createSharedState>;

/**
 * What outlives a reload of the config: the cache in memory, who is blocked, which sessions have ended, and counts of refused
 * attempts.
 *
 * @param onAct called with each entry of the revocation list that this process did not know
 */
export function createSharedState(running: Running, registry: Registry, onAct: (entry: Entry) => void, logger: Logger) {
  const attempts = createCountedAttempts(running, registry);
  const memory = createMemoryTier(running.config.cache.memory.maxEntries);
  const metrics = createCacheMetrics(registry);
  metrics.follow(running.config);
  // An address that is held until this process ends: the admin server is the last to close.
  const { id: replicaId, place } = nameReplica(running.config.admin.listen);
  const { list, reader, revocations, blocks, ended } = createSharedRevocations({
    redis: () => running.redis,
    clocks: systemClocks,
    replicaId,
    logger,
    onForeign: metrics.foreignKeys,
    startsWithoutBlocks: () => running.config.cache.redis?.startWithoutBlocks !== false,
    hasSessions: () => running.config.login !== undefined,
    onAdopted(entry) {
      metrics.adopted(entry);
      onAct(entry);
      if (entry.action === 'unlock') unlock(entry, attempts, running.config, logger);
    },
  });
  createCacheGauges(registry, () => ({
    memoryEntries: memory.entries,
    revocationListAge: reader.age === undefined ? undefined : reader.age / 1000,
    blocks: list.blocks.length,
  }));
  const timers: NodeJS.Timeout[] = [];

  return {
    caching: { memory, revocations, metrics, redis: createRedisPool({ logger, onError: metrics.redisError }) },
    blocks,
    ended,
    countBlocks: () => list.blocks.length,
    attempts,
    /** Milliseconds since the revocation list was read; undefined where no Redis is shared. Infinity: never. */
    get listAge(): number | undefined {
      return reader.age;
    },
    /** Uses the limits of another config, and counts the lookups of its authenticators. */
    resize(next: GatewayConfig): void {
      memory.resize(next.cache.memory.maxEntries);
      metrics.follow(next);
    },
    /** Reads the revocation list once, and then every 500 ms. It also starts while Redis is down. It calls `onAct`. */
    async start(): Promise<void> {
      await reader.begin();
      const sweep = () => {
        const lifetimes = maxLifetimes(running.config);
        memory.sweep((entry) => isUsable(entry, lifetimes, systemClocks));
      };
      timers.push(setInterval(reader.poll, pollInterval).unref(), setInterval(sweep, sweepInterval).unref());
    },
    /** To be called when `admin.listen` is open: no process that has had it can still run, so commands need not wait for one. */
    takePlace: (): void => (place === undefined ? undefined : reader.takePlace(place)),
    /** Ends that, and signs off, so that commands on other replicas do not wait for this one. */
    async stop(): Promise<void> {
      for (const timer of timers) clearInterval(timer);
      await reader.leave();
    },
  };
}

/** Creates the lockout guard, with its metrics. */
function createCountedAttempts(running: Running, registry: Registry) {
  const attempts = createAttempts(() => running.config.lockout, {
    now: systemClocks.monotonic,
    shared: () => running.redis,
    onForeign: createLockoutMetrics(registry),
  });
  const names = () => running.config.authenticators.map(({ name }) => name);
  createLockoutGauge(registry, names, attempts.lockedOut);
  return attempts;
}

function unlock(
  { name: subject, by, reason }: Entry,
  attempts: ReturnType<typeof createAttempts>,
  { authenticators }: Pick<GatewayConfig, 'authenticators'>,
  logger: Logger,
): void {
  attempts.unlock(subject, authenticators);
  logger.info({ subject, by, reason }, 'refused attempts forgotten: an operator unlocked the user');
}

/** Returns the maximum of each lifetime over all authenticators. */
function maxLifetimes({ cache, authenticators }: GatewayConfig): typeof cache {
  const all = authenticators.flatMap((one) => (one.cache === 'off' ? [] : [one.cache]));
  const max = (key: 'authenticatedTtl' | 'staleTtl') => Math.max(0, ...all.map((one) => one[key]));
  return { ...cache, authenticatedTtl: max('authenticatedTtl'), staleTtl: max('staleTtl') };
}
