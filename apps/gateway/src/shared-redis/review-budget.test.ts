import { expect, test } from 'vitest';
import { currentBudget, withReviewBudget } from './review-budget.ts';

test('a review has one budget, however deep and late it is asked for, and no other has the same', async () => {
  const review = () =>
    withReviewBudget(async () => {
      const own = currentBudget();
      await new Promise(setImmediate);
      const later = await Promise.all([1, 2].map(async () => currentBudget()));
      return [own, ...later];
    });
  const [one, other] = await Promise.all([review(), review()]);
  expect(new Set(one).size).toBe(1);
  expect(new Set(other).size).toBe(1);
  expect(one?.[0]).not.toBe(other?.[0]);
  expect(one?.[0]).toEqual({ spent: 0 });
});

test('outside of a review each has its own', () => {
  expect(currentBudget()).not.toBe(currentBudget());
  expect(currentBudget()).toEqual({ spent: 0 });
});

test('a review that throws is none any more', async () => {
  await expect(withReviewBudget(() => Promise.reject(new Error('down')))).rejects.toThrow('down');
  currentBudget().spent = 7;
  expect(currentBudget().spent).toBe(0);
});
