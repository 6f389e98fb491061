import type { Registry } from 'prom-client';
import type { AuthenticatorConfig, GatewayConfig } from '../../config/types.ts';
import type { CacheMetrics, CacheTier } from '../../engine/cache/with-cache.ts';
import type { Entry } from '../../engine/revocation/list.ts';
import type { RedisUse } from '../../engine/shared-redis/shared-redis.ts';
import { byLabel, createFamilies, fillRecord } from './families.ts';

/** The possible results of a lookup in each tier. */
const results = {
  memory: ['hit', 'miss', 'stale'],
  redis: ['hit', 'miss', 'stale', 'invalid', 'error'],
} as const;

/** The lookups of one authenticator, by tier and result. */
type Lookups = { readonly [Tier in CacheTier]?: Record<string, number> };

/** Counts what caches, the revocation list and their Redis do. */
export function createCacheMetrics(registry: Registry) {
  let foreignKeys = 0;
  const revocations: Partial<Record<Entry['kind'], number>> = { user: 0, token: 0, all: 0 };
  const errors: Record<RedisUse, number> = {
    cache: 0,
    revocations: 0,
    lockout: 0,
    login: 0,
    factor: 0,
  };
  const { counter } = createFamilies(registry);
  counter(
    'sallyport_revocations_total',
    'Revocations that this replica has read from the revocation list, by kind: user, token or all.',
    () => byLabel('kind', revocations),
  );
  counter(
    'sallyport_redis_errors_total',
    "Calls of the cache Redis, and of the Redis of second factors (factor), that failed or were too late, by use. A rise means more lookups in the backends; of revocations, that this replica does not learn of new blocks and revocations; of factor, that users who can have one can't log in.",
    () => byLabel('use', errors),
  );
  counter(
    'sallyport_revocation_list_foreign_keys_total',
    'Keys of the revocation list that had data of another type; they were removed, and the list was written back from memory. A rise means that another client writes to the cache Redis.',
    () => [[{}, foreignKeys]],
  );
  return {
    ...createLookupMetrics(registry),
    redisError(use: RedisUse): void {
      errors[use] += 1;
    },
    adopted({ action, kind }: Entry): void {
      if (action === 'revoke') revocations[kind] = (revocations[kind] ?? 0) + 1;
    },
    /** Counts keys of another type that were removed. */
    foreignKeys(count: number): void {
      foreignKeys += count;
    },
  };
}

/** Shows what is in the cache and in the revocation list. @param state is read at each scrape */
export function createCacheGauges(
  registry: Registry,
  state: () => {
    readonly memoryEntries: number;
    /** The age in seconds. It is undefined without `cache.redis`, and infinite if the list was never read. */
    readonly revocationListAge: number | undefined;
    readonly blocks: number;
  },
): void {
  const { gauge } = createFamilies(registry);
  gauge(
    'sallyport_cache_entries',
    'Answers in the memory cache of this process, at most cache.memory.maxEntries. A rise means that more tokens are in use.',
    () => [[{ tier: 'memory' }, state().memoryEntries]],
  );
  gauge(
    'sallyport_revocation_list_age_seconds',
    'Seconds since the revocation list was read. Over 1 means that this replica is cut off, and uses cached answers for at most 10s, or stale ones while their backend is down. Absent without cache.redis; +Inf when it was never read.',
    () => [state().revocationListAge].flatMap((age) => (age === undefined ? [] : [[{}, age]])),
  );
  gauge(
    'sallyport_blocks',
    'Users, groups, tokens and sessions that are blocked now. A rise means that an operator has blocked one.',
    () => [[{}, state().blocks]],
  );
}

function createLookupMetrics(registry: Registry) {
  let followed: ReadonlyMap<string, Lookups> = new Map();
  let coalesced = 0;
  const { counter } = createFamilies(registry);
  counter(
    'sallyport_cache_lookups_total',
    'Lookups in a tier of the cache, by result. A rise of stale means that earlier answers are used because a backend is unavailable; of invalid, that records were not sealed by these gateways, or are older than a revocation.',
    () =>
      [...followed].flatMap(([authenticator, tiers]) =>
        Object.entries(tiers).flatMap(([tier, counts]) =>
          byLabel('result', counts, { authenticator, tier }),
        ),
      ),
  );
  counter(
    'sallyport_coalesced_lookups_total',
    'Reviews that waited for a lookup of the same token that was in progress, instead of starting their own.',
    () => [[{}, coalesced]],
  );
  return {
    lookup(
      authenticator: string,
      tier: CacheTier,
      result: Parameters<CacheMetrics['lookup']>[2],
    ): void {
      // A review may end after the reload that removed its authenticator.
      const counts = followed.get(authenticator)?.[tier];
      if (counts !== undefined) counts[result] = (counts[result] ?? 0) + 1;
    },
    coalesced(): void {
      coalesced += 1;
    },
    /** Sets the caches that are counted: new counters begin at 0, and all series of other authenticators are removed. */
    follow(config: Pick<GatewayConfig, 'authenticators' | 'cache'>): void {
      const hasRedis = config.cache.redis !== undefined;
      const next = config.authenticators.map(({ name, cache }) => {
        return [name, createLookupCounts(cache, hasRedis, followed.get(name))] as const;
      });
      followed = new Map(next);
    },
  };
}

function createLookupCounts(
  cache: AuthenticatorConfig['cache'],
  hasRedis: boolean,
  earlier: Lookups | undefined,
): Lookups {
  if (cache === 'off') return {};
  const counts = (tier: CacheTier) => ({
    [tier]: earlier?.[tier] ?? fillRecord(results[tier], () => 0),
  });
  return { ...counts('memory'), ...(hasRedis && cache.store === 'shared' && counts('redis')) };
}
