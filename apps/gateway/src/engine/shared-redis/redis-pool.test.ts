import { expect, test } from 'vitest';
import { settingsForReviews } from './redis-pool.ts';

const lifetimes = { authenticatedTtl: 0, rejectedTtl: 0, unknownTtl: 0, staleTtl: 0 };
const redis = { connection: {}, keyPrefix: 'p:', sealingKeys: [], timeout: 120 };

function timeoutWith(...stores: ('off' | 'memory' | 'shared')[]): number | undefined {
  const authenticators = stores.map((store) => ({
    cache: store === 'off' ? store : { ...lifetimes, store },
  }));
  const config = { cache: { redis }, authenticators } as unknown as Parameters<
    typeof settingsForReviews
  >[0];
  return settingsForReviews(config)?.timeout;
}

test('the calls that one review may wait for have together cache.redis.timeout: each shared cache, and the lockout guard', () => {
  expect(timeoutWith()).toBe(120);
  expect(timeoutWith('off', 'memory')).toBe(120);
  expect(timeoutWith('shared')).toBe(60);
  expect(timeoutWith('shared', 'memory', 'shared', 'off', 'shared')).toBe(30);
});

test('without a cache Redis there are no settings', () => {
  const config = { cache: {}, authenticators: [] } as unknown as Parameters<
    typeof settingsForReviews
  >[0];
  expect(settingsForReviews(config)).toBeUndefined();
});
