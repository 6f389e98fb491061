import { expect, test } from 'vitest';
import { createSeldom } from './seldom.ts';

test('of each kind one is written in ten seconds, that tells of the others', () => {
  let now = 0;
  const seldom = createSeldom(() => now);
  expect([seldom('invalid'), seldom('invalid'), seldom('overloaded'), seldom('invalid')]).toEqual([
    0,
    undefined,
    0,
    undefined,
  ]);
  now = 9_999;
  expect(seldom('invalid')).toBeUndefined();
  now = 10_000;
  expect([seldom('invalid'), seldom('overloaded')]).toEqual([3, 0]);
  now = 20_000;
  expect(seldom('invalid')).toBe(0);
});
