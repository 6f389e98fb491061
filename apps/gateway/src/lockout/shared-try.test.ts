import { expect, test } from 'vitest';
import { createSealingKey } from '../sealing/sealing-key.ts';
import { currentBudget, type ReviewBudget, withReviewBudget } from '../shared-redis/review-budget.ts';
import { pause } from './pause.ts';
import { createSharedTry } from './shared-try.ts';

/** A try that Redis tells to wait. */
function waiting(random: number) {
  const budgets: ReviewBudget[] = [];
  const pauses: number[] = [];
  const redis = {
    keyPrefix: '',
    timeout: 100,
    sealingKeys: [createSealingKey(Buffer.alloc(32))],
    async ask<T>() {
      budgets.push(currentBudget());
      return 'wait' as T;
    },
    tell() {},
  };
  const tried = createSharedTry(
    redis,
    { authenticator: 'corp', name: 'jane', password: 'a' },
    {
      settings: () => ({ maxFailures: 1, window: 1000 }),
      now: () => 0,
      random: () => random,
      pause: async (milliseconds) => void pauses.push(milliseconds),
      abandonedAfter: 1000,
    },
  );
  return { tried, budgets, pauses };
}

test.each([
  [0, [25, 37.5, 56.25, 84.375, 125, 125]],
  [0.5, [50, 75, 112.5, 168.75, 250, 250]],
])('those that wait ask more and more seldom, each in its own time (%d)', async (random, expected) => {
  const { tried, pauses } = waiting(random);
  for (const _ of expected) await tried.pause(undefined);
  expect(pauses).toEqual(expected);
});

test('a wait for others does not use up what Redis may cost a review', async () => {
  const { tried, budgets } = waiting(0);
  const own = await withReviewBudget(async () => {
    await tried.ask(1, false);
    await tried.pause(undefined);
    await tried.ask(1, false);
    return currentBudget();
  });
  expect(budgets.map((one) => one === own)).toEqual([true, false]);
});

test('a pause ends by itself, or with the reason of its signal', async () => {
  await pause(1, undefined);
  const caller = new AbortController();
  await pause(1, caller.signal);
  const long = pause(1_000_000, caller.signal);
  const reason = new Error('the caller has gone');
  caller.abort(reason);
  await expect(long).rejects.toBe(reason);
  await expect(pause(1, caller.signal)).rejects.toBe(reason);
});
