import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createProbe } from './server-circuit.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);

function setUp() {
  const ends: (() => void)[] = [];
  const probe = createProbe(10, () => new Promise((resolve) => ends.push(resolve)));
  return { probe, ends };
}

test('a probe begins an interval after the start, and after the end of the one before', async () => {
  const { probe, ends } = setUp();
  probe.start();
  await pass(9);
  expect(ends.length).toBe(0);
  await pass(1000);
  expect(ends.length).toBe(1);
  ends[0]?.();
  await pass(9);
  expect(ends.length).toBe(1);
  await pass(1);
  expect(ends.length).toBe(2);
});

test('a start during an attempt makes no second one', async () => {
  const { probe, ends } = setUp();
  probe.start();
  await pass(10);
  probe.stop();
  probe.start();
  await pass(1000);
  expect([ends.length, vi.getTimerCount()]).toEqual([1, 0]);
  ends[0]?.();
  await pass(10);
  expect(ends.length).toBe(2);
});

test('none follows a stop, and the current one can be waited for', async () => {
  const { probe, ends } = setUp();
  probe.start();
  await pass(10);
  probe.stop();
  let isIdle = false;
  const idle = probe.untilIdle().then(() => {
    isIdle = true;
  });
  await pass(1000);
  expect(isIdle).toBe(false);
  ends[0]?.();
  await idle;
  await pass(1000);
  expect([ends.length, vi.getTimerCount()]).toEqual([1, 0]);
});
