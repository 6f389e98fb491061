import fc from 'fast-check';
import { expect, test } from 'vitest';
import { retryDelay } from './retry-delay.ts';

/** As Math.random() gives them. */
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test('the first try again comes in 25 to 50 ms, the next in twice that, up to a second', () => {
  expect([1, 2, 3, 4, 5, 6, 7, 1_000].map((attempt) => retryDelay(attempt, 0))).toEqual([
    25, 50, 100, 200, 400, 500, 500, 500,
  ]);
  const last = 1 - Number.EPSILON;
  expect([1, 2, 3, 4, 5, 6, 7, 1_000].map((attempt) => retryDelay(attempt, last))).toEqual([
    50, 100, 200, 400, 800, 1_000, 1_000, 1_000,
  ]);
});

test('each is a whole number of milliseconds within its bounds, however many there were', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e9 }), random, (attempt, chance) => {
      const delay = retryDelay(attempt, chance);
      expect(Number.isInteger(delay)).toBe(true);
      expect(delay).toBeGreaterThanOrEqual(25);
      expect(delay).toBeLessThanOrEqual(1_000);
      expect(retryDelay(attempt + 1, chance)).toBeGreaterThanOrEqual(delay);
    }),
  );
});

test('half of it is chance, so that many gateways do not come back in one moment', () => {
  const delays = Array.from({ length: 500 }, (_, index) => retryDelay(9, index / 500));
  expect(new Set(delays).size).toBe(500);
  expect([Math.min(...delays), Math.max(...delays)]).toEqual([500, 999]);
});
