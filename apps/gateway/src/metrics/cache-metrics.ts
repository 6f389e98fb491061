import { Counter, Gauge, type Registry } from 'prom-client';
import type { CacheMetrics, CacheTier } from '../cache/with-cache.ts';
import type { GatewayConfig } from '../config/types.ts';
import type { Entry } from '../revocation/list.ts';
import type { RedisUse } from '../shared-redis/shared-redis.ts';

/** What a scrape reads. */
export interface CacheState {
  readonly memoryEntries: number;
  /** Seconds; undefined without `cache.redis`. */
  readonly revocationListAge: number | undefined;
  readonly blocks: number;
}

/** Counts what caches, the revocation list and their Redis do. */
export interface GatewayCacheMetrics extends CacheMetrics {
  redisError(use: RedisUse): void;
  adopted(entry: Entry): void;
  /** Counts keys of another type that were removed. */
  foreignKeys(count: number): void;
  /** Sets the caches that are counted: new counters begin at 0, and all series of other authenticators are removed. */
  follow(config: Pick<GatewayConfig, 'authenticators' | 'cache'>): void;
}

/** The results that a lookup in each tier may have. */
const results = {
  memory: ['hit', 'miss', 'stale'],
  redis: ['hit', 'miss', 'stale', 'invalid', 'error'],
} as const;

const tiers: readonly CacheTier[] = ['memory', 'redis'];
const kinds: readonly Entry['kind'][] = ['user', 'token', 'all'];
const uses: readonly RedisUse[] = ['cache', 'revocations', 'lockout'];

export function createCacheMetrics(registry: Registry, state: () => CacheState): GatewayCacheMetrics {
  const registers = [registry];
  let followed: ReadonlyMap<string, Lookups> = new Map();
  new Counter({
    name: 'sallyport_cache_lookups_total',
    help: 'Lookups in a tier of the cache, by result. A rise of stale means that earlier answers are used because a backend is unavailable; of invalid, that records were not sealed by these gateways, or are older than a revocation.',
    labelNames: ['authenticator', 'tier', 'result'],
    registers,
    collect() {
      this.reset();
      for (const [authenticator, tiers] of followed) {
        for (const [tier, counts] of Object.entries(tiers)) {
          for (const [result, count] of Object.entries(counts)) this.inc({ authenticator, tier, result }, count);
        }
      }
    },
  });
  const coalesced = new Counter({
    name: 'sallyport_coalesced_lookups_total',
    help: 'Reviews that waited for a lookup of the same token that was in progress, instead of starting their own.',
    registers,
  });
  const revocations = new Counter({
    name: 'sallyport_revocations_total',
    help: 'Revocations that this replica has read from the revocation list, by kind: user, token or all.',
    labelNames: ['kind'],
    registers,
  });
  const errors = new Counter({
    name: 'sallyport_redis_errors_total',
    help: 'Calls of the cache Redis that failed or were too late, by use. A rise means more lookups in the backends; of revocations, that this replica does not learn of new blocks and revocations.',
    labelNames: ['use'],
    registers,
  });
  const foreign = new Counter({
    name: 'sallyport_revocation_list_foreign_keys_total',
    help: 'Keys of the revocation list that had data of another type; they were removed, and the list was written back from memory. A rise means that another client writes to the cache Redis.',
    registers,
  });
  for (const kind of kinds) revocations.inc({ kind }, 0);
  for (const use of uses) errors.inc({ use }, 0);
  createGauges(registers, state);
  return {
    lookup(authenticator, tier, result) {
      // A review may end after the reload that removed its authenticator.
      const counts = followed.get(authenticator)?.[tier];
      if (counts !== undefined) counts[result] = (counts[result] ?? 0) + 1;
    },
    coalesced: () => coalesced.inc(),
    redisError: (use) => errors.inc({ use }),
    adopted({ action, kind }) {
      if (action === 'revoke') revocations.inc({ kind });
    },
    foreignKeys: (count) => foreign.inc(count),
    follow(config) {
      const next = config.authenticators.map((one) => {
        const lookups = tiersOf(one, config).map((tier) => [tier, followed.get(one.name)?.[tier] ?? countsOf(tier)]);
        return [one.name, Object.fromEntries(lookups)] as const;
      });
      followed = new Map(next);
    },
  };
}

/** The lookups of one authenticator, by tier and result. */
type Lookups = { readonly [Tier in CacheTier]?: Record<string, number> };

function countsOf(tier: CacheTier): Record<string, number> {
  return Object.fromEntries(results[tier].map((result) => [result, 0]));
}

function tiersOf(
  { cache }: GatewayConfig['authenticators'][number],
  { cache: { redis } }: Pick<GatewayConfig, 'cache'>,
): readonly CacheTier[] {
  if (cache === 'off') return [];
  return cache.store === 'shared' && redis !== undefined ? tiers : ['memory'];
}

function createGauges(registers: Registry[], state: () => CacheState): void {
  new Gauge({
    name: 'sallyport_cache_entries',
    help: 'Answers in the memory cache of this process, at most cache.memory.maxEntries. A rise means that more tokens are in use.',
    labelNames: ['tier'],
    registers,
    collect() {
      this.set({ tier: 'memory' }, state().memoryEntries);
    },
  });
  new Gauge({
    name: 'sallyport_revocation_list_age_seconds',
    help: 'Seconds since the revocation list was read. Over 1 means that this replica is cut off, and uses cached answers for at most 10 s. Absent without cache.redis; +Inf when it was never read.',
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
    help: 'Users, groups, tokens and sessions that are blocked now. A rise means that an operator has blocked one.',
    registers,
    collect() {
      this.set(state().blocks);
    },
  });
}
