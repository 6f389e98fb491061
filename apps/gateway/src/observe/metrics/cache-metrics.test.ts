import { Registry } from 'prom-client';
import { beforeEach, describe, expect, test } from 'vitest';
import type { GatewayConfig } from '../../config/types.ts';
import { createCacheGauges, createCacheMetrics } from './cache-metrics.ts';
import { seriesOf } from './testing/series.ts';

type CacheMetrics = ReturnType<typeof createCacheMetrics>;
type Followed = Parameters<CacheMetrics['follow']>[0];

function config(
  stores: Readonly<Record<string, 'memory' | 'shared' | 'off'>>,
  redis: boolean,
): Followed {
  const authenticators = Object.entries(stores).map(([name, store]) => ({
    name,
    cache: store === 'off' ? 'off' : { store },
  }));
  return { authenticators, cache: { ...(redis && { redis: {} }) } } as unknown as Pick<
    GatewayConfig,
    'authenticators' | 'cache'
  >;
}

describe('lookups in the cache', () => {
  let registry: Registry;
  let metrics: CacheMetrics;

  beforeEach(() => {
    registry = new Registry();
    metrics = createCacheMetrics(registry);
  });

  const lookups = async () =>
    Object.entries(await seriesOf(registry))
      .filter(([name]) => name.startsWith('sallyport_cache_lookups_total'))
      .map(([name, value]) => [name.replaceAll(/^[^{]*|\w+=|[{}"]/g, ''), value]);
  const memory = (name: string) => [
    `${name},memory,hit`,
    `${name},memory,miss`,
    `${name},memory,stale`,
  ];
  const redis = (name: string) =>
    ['hit', 'miss', 'stale', 'invalid', 'error'].map((result) => `${name},redis,${result}`);
  const names = async () => (await lookups()).map(([name]) => name);

  test('begin at 0, for the tiers that each authenticator has', async () => {
    metrics.follow(config({ corp: 'shared', robots: 'memory', tokens: 'off' }, true));
    expect(await names()).toEqual([...memory('corp'), ...redis('corp'), ...memory('robots')]);
    expect(new Set((await lookups()).map(([, value]) => value))).toEqual(new Set([0]));
  });

  test('have no Redis without cache.redis', async () => {
    metrics.follow(config({ corp: 'shared' }, false));
    expect(await names()).toEqual(memory('corp'));
  });

  test('of an authenticator that is removed have no series, and a late one brings none back', async () => {
    metrics.follow(config({ corp: 'shared', robots: 'memory' }, true));
    metrics.follow(config({ corp: 'memory', robots: 'memory' }, true));
    metrics.lookup('robots', 'memory', 'hit');
    metrics.follow(config({ robots: 'memory' }, true));
    metrics.lookup('corp', 'memory', 'hit');
    expect(await names()).toEqual(memory('robots'));
    expect(await lookups()).toContainEqual(['robots,memory,hit', 1]);
  });
});

test('the other counters of the cache begin at 0', async () => {
  const registry = new Registry();
  createCacheMetrics(registry);
  createCacheGauges(registry, () => ({
    memoryEntries: 3,
    revocationListAge: undefined,
    blocks: 1,
  }));
  expect(await seriesOf(registry)).toEqual({
    sallyport_coalesced_lookups_total: 0,
    'sallyport_revocations_total{kind="user"}': 0,
    'sallyport_revocations_total{kind="token"}': 0,
    'sallyport_revocations_total{kind="all"}': 0,
    sallyport_revocation_list_foreign_keys_total: 0,
    'sallyport_redis_errors_total{use="cache"}': 0,
    'sallyport_redis_errors_total{use="revocations"}': 0,
    'sallyport_redis_errors_total{use="factor"}': 0,
    'sallyport_redis_errors_total{use="lockout"}': 0,
    'sallyport_redis_errors_total{use="login"}': 0,
    'sallyport_cache_entries{tier="memory"}': 3,
    sallyport_blocks: 1,
  });
});
