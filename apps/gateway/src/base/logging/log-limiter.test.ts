import { expect, test } from 'vitest';
import { createLogLimiter } from './log-limiter.ts';

test('of each kind one is written in ten seconds, with the number of the others', () => {
  let now = 0;
  const limit = createLogLimiter(() => now);
  expect([limit('invalid'), limit('invalid'), limit('overloaded'), limit('invalid')]).toEqual([
    0,
    undefined,
    0,
    undefined,
  ]);
  now = 9_999;
  expect(limit('invalid')).toBeUndefined();
  now = 10_000;
  expect([limit('invalid'), limit('overloaded')]).toEqual([3, 0]);
  now = 20_000;
  expect(limit('invalid')).toBe(0);
});
