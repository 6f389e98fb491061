import { Counter, Gauge, type Registry } from 'prom-client';
import type { CacheMetrics } from '../cache/types.ts';
import type { Entry } from '../revocation/types.ts';
import type { RedisUse } from '../shared-redis/types.ts';

/** What is looked at when Prometheus asks. */
export interface CacheState {
  readonly memoryEntries: number;
  /** Seconds; undefined where no Redis is shared. */
  readonly revocationListAge: number | undefined;
  readonly blocks: number;
}

/** The gateway's metrics of its caches, and of those who were stopped. */
export interface GatewayCacheMetrics extends CacheMetrics {
  redisError(use: RedisUse): void;
  adopted(entry: Entry): void;
}

export function createCacheMetrics(registry: Registry, state: () => CacheState): GatewayCacheMetrics {
  const registers = [registry];
  const lookups = new Counter({
    name: 'sallyport_cache_lookups_total',
    help: 'Looks into a tier of the cache, by what came of them. A rise of stale: answers stand in for a backend that can not be asked. Of invalid: records that were not sealed by these gateways, or that know of a newer revocation.',
    labelNames: ['authenticator', 'tier', 'result'],
    registers,
  });
  const coalesced = new Counter({
    name: 'sallyport_coalesced_lookups_total',
    help: 'Reviews that waited for a lookup of the same token which was under way, in place of one of their own.',
    registers,
  });
  const revocations = new Counter({
    name: 'sallyport_revocations_total',
    help: 'Revocations that this replica has taken in, by whom they are about: user, token or all.',
    labelNames: ['kind'],
    registers,
  });
  const errors = new Counter({
    name: 'sallyport_redis_errors_total',
    help: 'Calls of the cache Redis that failed or came too late, by what it was asked for. A rise means more lookups for the backends, and with revocations that people can not be stopped here.',
    labelNames: ['use'],
    registers,
  });
  createGauges(registers, state);
  return {
    lookup: (authenticator, tier, result) => lookups.inc({ authenticator, tier, result }),
    coalesced: () => coalesced.inc(),
    redisError: (use) => errors.inc({ use }),
    adopted({ action, kind }) {
      if (action === 'revoke') revocations.inc({ kind });
    },
  };
}

function createGauges(registers: Registry[], state: () => CacheState): void {
  new Gauge({
    name: 'sallyport_cache_entries',
    help: 'Answers in the cache of this process.',
    labelNames: ['tier'],
    registers,
    collect() {
      this.set({ tier: 'memory' }, state().memoryEntries);
    },
  });
  new Gauge({
    name: 'sallyport_revocation_list_age_seconds',
    help: 'Since the revocation list was read. Over 1: this replica is cut off, and uses cached answers for 10 s at most. Absent without cache.redis; +Inf: never read.',
    registers,
    collect() {
      this.reset();
      this.remove();
      const { revocationListAge } = state();
      if (revocationListAge !== undefined) this.set(revocationListAge);
    },
  });
  new Gauge({
    name: 'sallyport_blocks',
    help: 'Users, groups and tokens that are blocked now.',
    registers,
    collect() {
      this.set(state().blocks);
    },
  });
}
