import { Counter, Gauge, type Registry } from 'prom-client';
import type { CacheMetrics, CacheTier } from '../cache/store.ts';
import type { GatewayConfig } from '../config/types.ts';
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
  /** Keys of another type that were removed. */
  foreignKeys(count: number): void;
  /** The caches of this config are counted from now on, beginning at 0, and all series of other authenticators go. */
  follow(config: Pick<GatewayConfig, 'authenticators' | 'cache'>): void;
}

/** What may come of a look into each tier. */
const results = {
  memory: ['hit', 'miss', 'stale'],
  redis: ['hit', 'miss', 'stale', 'invalid', 'error'],
} as const;

const tiers: readonly CacheTier[] = ['memory', 'redis'];
const kinds: readonly Entry['kind'][] = ['user', 'token', 'all'];
const uses: readonly RedisUse[] = ['cache', 'revocations', 'lockout'];

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
  const foreign = new Counter({
    name: 'sallyport_revocation_list_foreign_keys_total',
    help: 'Keys of the revocation list that held data of another type: removed, and written back from memory. A rise: another client writes to the cache Redis.',
    registers,
  });
  for (const kind of kinds) revocations.inc({ kind }, 0);
  for (const use of uses) errors.inc({ use }, 0);
  createGauges(registers, state);
  let followed: ReadonlySet<string> = new Set();
  return {
    lookup(authenticator, tier, result) {
      // A review of an old chain may end after the reload that removed its authenticator.
      if (followed.has(authenticator)) lookups.inc({ authenticator, tier, result });
    },
    coalesced: () => coalesced.inc(),
    redisError: (use) => errors.inc({ use }),
    adopted({ action, kind }) {
      if (action === 'revoke') revocations.inc({ kind });
    },
    foreignKeys: (count) => foreign.inc(count),
    follow(config) {
      const next = new Set(config.authenticators.map(({ name }) => name));
      for (const name of followed) if (!next.has(name)) for (const each of labelsOf(name, tiers)) lookups.remove(each);
      for (const each of config.authenticators.flatMap((one) => labelsOf(one.name, tiersOf(one, config)))) {
        lookups.inc(each, 0);
      }
      followed = next;
    },
  };
}

type CacheLabels = Readonly<Record<'authenticator' | 'tier' | 'result', string>>;

function labelsOf(authenticator: string, of: readonly CacheTier[]): readonly CacheLabels[] {
  return of.flatMap((tier) => results[tier].map((result) => ({ authenticator, tier, result })));
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
    help: 'Answers in the cache of this process, of cache.memory.maxEntries at most. A rise: more tokens are in use.',
    labelNames: ['tier'],
    registers,
    collect() {
      this.set({ tier: 'memory' }, state().memoryEntries);
    },
  });
  new Gauge({
    name: 'sallyport_revocation_list_age_seconds',
    help: 'Seconds since the revocation list was read. Over 1: this replica is cut off, and uses cached answers for 10 s at most. Absent without cache.redis; +Inf: never read.',
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
    help: 'Users, groups and tokens that are blocked now. A rise: somebody was blocked.',
    registers,
    collect() {
      this.set(state().blocks);
    },
  });
}
