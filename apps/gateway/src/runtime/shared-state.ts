import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { createMemoryTier } from '../cache/memory-tier.ts';
import { isUsable } from '../cache/record.ts';
import { systemClocks } from '../clocks.ts';
import type { GatewayConfig } from '../config/types.ts';
import { createAttempts } from '../lockout/attempts.ts';
import { createLockoutMetrics } from '../metrics/authenticator-metrics.ts';
import { createCacheMetrics } from '../metrics/cache-metrics.ts';
import type { Entry } from '../revocation/list.ts';
import { createSharedRevocations, pollInterval } from '../revocation/reader.ts';
import { nameReplica } from '../revocation/replicas.ts';
import { createRedisPool } from '../shared-redis/redis-pool.ts';
import type { Generation } from './generation.ts';

/** Milliseconds between two sweeps of memory, which drop what is too old to be used. */
const sweepInterval = 30_000;

/**
 * What outlives a reload of the config: the cache in memory, who is blocked, which sessions have ended, and counts of refused
 * tries.
 *
 * @param onAct called with each entry of the revocation list that this process did not know
 */
export function createSharedState(
  inForce: () => Pick<Generation, 'config' | 'redis'>,
  registry: Registry,
  onAct: (entry: Entry) => void,
  logger: Logger,
) {
  const config = () => inForce().config;
  const redis = () => inForce().redis;
  const names = () => config().authenticators.map(({ name }) => name);
  const onForeign = createLockoutMetrics(registry, names, (authenticator) => attempts.lockedOut(authenticator));
  const attempts = createAttempts(() => config().lockout, { now: systemClocks.monotonic, shared: redis, onForeign });
  const memory = createMemoryTier(config().cache.memory.maxEntries);
  const metrics = createCacheMetrics(registry, () => ({
    memoryEntries: memory.entries,
    revocationListAge: reader.age === undefined ? undefined : reader.age / 1000,
    blocks: list.blocks.length,
  }));
  metrics.follow(config());
  // An address that is held until this process ends: the admin server is the last to close.
  const { id: replicaId, place } = nameReplica(config().admin.listen);
  const { list, reader, revocations, blocks, ended } = createSharedRevocations({
    ...{ redis, clocks: systemClocks, replicaId, logger, onForeign: metrics.foreignKeys },
    startsWithoutBlocks: () => config().cache.redis?.startWithoutBlocks !== false,
    hasSessions: () => config().login !== undefined,
    onAdopted(entry) {
      metrics.adopted(entry);
      onAct(entry);
      if (entry.action === 'unlock') unlock(entry, attempts, config(), logger);
    },
  });
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
        const lifetimes = longestLifetimes(config());
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

function unlock(
  { name: subject, by, reason }: Entry,
  attempts: ReturnType<typeof createAttempts>,
  { authenticators }: Pick<GatewayConfig, 'authenticators'>,
  logger: Logger,
): void {
  attempts.unlock(subject, authenticators);
  logger.info({ subject, by, reason }, 'refused tries forgotten: an operator unlocked the user');
}

/** The longest lifetimes that any answer has. */
function longestLifetimes({ cache, authenticators }: GatewayConfig): typeof cache {
  const all = authenticators.flatMap((one) => (one.cache === 'off' ? [] : [one.cache]));
  const most = (key: 'authenticatedTtl' | 'staleTtl') => Math.max(0, ...all.map((one) => one[key]));
  return { ...cache, authenticatedTtl: most('authenticatedTtl'), staleTtl: most('staleTtl') };
}
