import { AsyncLocalStorage } from 'node:async_hooks';

/** What Redis has cost one review so far, whatever it was asked for. */
export interface ReviewBudget {
  /** Milliseconds. */
  spent: number;
}

const budgets = new AsyncLocalStorage<ReviewBudget>();

/** Has one review done: all that it asks of Redis, in any layer and any plugin, counts together. */
export function withReviewBudget<Result>(review: () => Result): Result {
  return budgets.run({ spent: 0 }, review);
}

/** That of the review which is running; outside of one, a new one. */
export function currentBudget(): ReviewBudget {
  return budgets.getStore() ?? { spent: 0 };
}
