import { reviewBody } from '../testing/token-review.ts';

/** A review, and the only answer to it that is right: this user, or not authenticated. */
export interface Question {
  readonly body: string;
  readonly username?: string;
}

/** As long as a token of the Redis plugin. */
const padding = 'x'.repeat(40);

export function numberedQuestion(number: number): Question {
  return { body: reviewBody(`number-${number}-${padding}`), username: `user-${number}` };
}
