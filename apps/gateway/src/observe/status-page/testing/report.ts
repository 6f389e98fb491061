import type { ReviewReport } from '../../../review/review-report.ts';

let made = 0;

/** Makes the report of a review, which authenticated Ada by default. */
export function reviewReport(changes: Partial<ReviewReport> = {}): ReviewReport {
  return {
    id: `review-${made++}`,
    at: 1_700_000_000_000,
    seconds: 0.004,
    version: 'v1',
    outcome: 'authenticated',
    end: { kind: 'authenticated', user: { username: 'corp:ada' } },
    answers: [
      {
        authenticator: 'corp',
        seconds: 0.003,
        decision: { kind: 'authenticated', user: { username: 'corp:ada' } },
        recognized: true,
      },
    ],
    token: 'a-token-that-no-one-may-see',
    callerGone: false,
    ...changes,
  };
}
