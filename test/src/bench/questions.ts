import { reviewBody } from '../testing/token-review.ts';

/** A review with the only right answer to it: this user, or not authenticated. */
export interface Question {
  readonly body: string;
  readonly username?: string;
}

/** The padding makes a token as long as one of the Redis plugin. */
const padding = 'x'.repeat(40);

export function numberedQuestion(number: number): Question {
  return { body: reviewBody(`number-${number}-${padding}`), username: `user-${number}` };
}
