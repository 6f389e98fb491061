import { expect, test } from 'vitest';
import { createResetCount } from './connection.ts';
import { maxConcurrentStreams } from './limits.ts';

test('allows as many resets at once as streams, then 33 a second', () => {
  let now = 0;
  const count = createResetCount(() => now);
  const many = (times: number) => Array.from({ length: times }, count);
  expect(many(maxConcurrentStreams)).not.toContain(false);
  expect(count()).toBe(false);

  now += 2000;
  expect(many(66).filter((isFew) => !isFew).length).toBeLessThanOrEqual(1);
  expect(many(2)).toContain(false);
});

test('a client that resets one now and then never reaches the limit', () => {
  let now = 0;
  const count = createResetCount(() => now);
  for (let time = 0; time < 10_000; time++) {
    now += 50;
    expect(count()).toBe(true);
  }
  // It may reset as many at once as at first, and no more.
  now += 3_600_000;
  const atOnce = Array.from({ length: maxConcurrentStreams + 1 }, count);
  expect(atOnce.indexOf(false)).toBe(maxConcurrentStreams);
});
