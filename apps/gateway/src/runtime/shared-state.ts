import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { systemClocks } from '../base/clocks.ts';
import type { GatewayConfig } from '../config/types.ts';
import { createMemoryTier } from '../engine/cache/memory-tier.ts';
import { isUsable } from '../engine/cache/record.ts';
import { createAttempts } from '../engine/lockout/attempts.ts';
import type { Entry } from '../engine/revocation/list.ts';
import { createSharedRevocations, pollInterval } from '../engine/revocation/reader.ts';
import { nameReplica } from '../engine/revocation/replicas.ts';
import { createRedisPool } from '../engine/shared-redis/redis-pool.ts';
import {
  createLockoutGauge,
  createLockoutMetrics,
} from '../observe/metrics/authenticator-metrics.ts';
import { createCacheGauges, createCacheMetrics } from '../observe/metrics/cache-metrics.ts';
import type { RunningGeneration } from './running.ts';

/** The time between two sweeps of memory, which drop what is too old to be used. Milliseconds. */
const sweepInterval = 30_000;

export type SharedState = ReturnType<typeof createSharedState>;

/**
 * Makes what outlives a reload of the config: the cache in memory, the revocation list, the ended sessions, and the counts of
 * refused attempts.
 *
 * @param running the generation in force: a function that reads it does so each time it is called, since a reload replaces it
 * @param onEntry called with each entry of the revocation list that this process did not know
 */
export function createSharedState(
  running: RunningGeneration,
  registry: Registry,
  onEntry: (entry: Entry) => void,
  logger: Logger,
) {
  const attempts = createCountedAttempts(running, registry);
  const memory = createMemoryTier(running.config.cache.memory.maxEntries);
  const metrics = createCacheMetrics(registry);
  metrics.follow(running.config);
  // No other process has this address until this one ends: the admin server is the last to close.
  const { id: replicaId, idPrefix } = nameReplica(running.config.admin.listen);
  const { list, reader, revocations, blocks, ended } = createSharedRevocations({
    redis: () => running.redis,
    clocks: systemClocks,
    replicaId,
    logger,
    onForeign: metrics.foreignKeys,
    startsWithoutBlocks: () => running.config.cache.redis?.startWithoutBlocks !== false,
    hasSessions: () => running.config.login !== undefined || running.config.server.authorize,
    onAdopted(entry) {
      metrics.adopted(entry);
      onEntry(entry);
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
    caching: {
      memory,
      revocations,
      metrics,
      redisPool: createRedisPool({ logger, onError: metrics.redisError }),
    },
    blocks,
    ended,
    countBlocks: () => list.blocks.length,
    attempts,
    /**
     * Milliseconds since the last poll of the revocation list. Infinity: there was none. Undefined: there is no shared Redis.
     */
    get listAge(): number | undefined {
      return reader.age;
    },
    /** Uses the limits of another config, and counts the lookups of its authenticators. */
    resize(next: GatewayConfig): void {
      memory.resize(next.cache.memory.maxEntries);
      metrics.follow(next);
    },
    /** Reads the revocation list now, and then every 500 ms. It also starts while Redis is down. */
    async start(): Promise<void> {
      await reader.begin();
      const sweep = () => {
        const lifetimes = maxLifetimes(running.config);
        memory.sweep((entry) => isUsable(entry, lifetimes, systemClocks));
      };
      timers.push(
        setInterval(reader.poll, pollInterval).unref(),
        setInterval(sweep, sweepInterval).unref(),
      );
    },
    /**
     * Forgets earlier processes with the address `admin.listen`, for which commands need not wait. Call it when that is open.
     */
    forgetPredecessors: (): void =>
      idPrefix === undefined ? undefined : reader.forgetPredecessors(idPrefix),
    /** Stops reading, and signs off, so that commands do not wait for this replica. */
    async stop(): Promise<void> {
      for (const timer of timers) clearInterval(timer);
      await reader.leave();
    },
  };
}

/** Creates the lockout guard, with its metrics. */
function createCountedAttempts(running: RunningGeneration, registry: Registry) {
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
  { name: subject, by: author, reason }: Entry,
  attempts: ReturnType<typeof createAttempts>,
  { authenticators }: Pick<GatewayConfig, 'authenticators'>,
  logger: Logger,
): void {
  attempts.unlock(subject, authenticators);
  logger.info(
    { subject, by: author, reason },
    'refused attempts forgotten: an operator unlocked the user',
  );
}

/** Returns the maximum of each lifetime over all answers: to tokens, about users of sessions, and of directories. */
export function maxLifetimes({
  cache,
  authenticators,
  login,
}: Pick<GatewayConfig, 'cache' | 'authenticators' | 'login'>): GatewayConfig['cache'] {
  const ofTokens = authenticators.flatMap((authenticator) =>
    authenticator.cache === 'off' ? [] : [authenticator.cache],
  );
  const ages = authenticators.flatMap(({ directory }) => directory?.refresh ?? []);
  const ofUsers = [...ages, ...(login ? [login.revalidate] : [])].map((authenticatedTtl) => ({
    authenticatedTtl,
    staleTtl: cache.staleTtl,
  }));
  const lifetimes = [...ofTokens, ...ofUsers];
  const max = (key: 'authenticatedTtl' | 'staleTtl') =>
    Math.max(0, ...lifetimes.map((lifetime) => lifetime[key]));
  return { ...cache, authenticatedTtl: max('authenticatedTtl'), staleTtl: max('staleTtl') };
}
