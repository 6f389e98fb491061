import { expect, test } from 'vitest';
import { fileLifetimes } from '../../config/cache/lifetimes.ts';
import { rememberedFor } from './revoke-tokens.ts';

test('a revocation outlives every answer that a config may have cached', () => {
  const { authenticatedTtl, staleTtl, rejectedTtl, unknownTtl } = fileLifetimes;
  const maxOf = (lifetime: typeof staleTtl) => {
    const hours = Array.from({ length: 200 }, (_, hour) => `${hour + 1}h`);
    return Math.max(...hours.map((text) => lifetime.safeParse(text).data ?? 0));
  };
  expect(maxOf(authenticatedTtl) + maxOf(staleTtl)).toBeLessThan(rememberedFor);
  expect(Math.max(maxOf(rejectedTtl), maxOf(unknownTtl))).toBeLessThan(rememberedFor);
});
