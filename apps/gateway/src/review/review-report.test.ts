import { expect, test } from 'vitest';
import { createLog } from '../testing/server.ts';
import { createReviewReporter } from './review-report.ts';

test('an observer that throws keeps no other one from the review, and does not change its outcome', () => {
  const { lines, logger } = createLog();
  const seen: string[] = [];
  const failing = () => {
    throw new Error('bug');
  };
  const report = createReviewReporter([failing, ({ outcome }) => seen.push(outcome)], logger);
  const ended = { id: 'a', at: 0, seconds: 0, answers: [], callerGone: false } as const;
  const request = { apiVersion: 'authentication.k8s.io/v1', token: 't', audiences: [] } as const;
  const { outcome, version } = report({ ...ended, request, end: { kind: 'no-opinion' } });
  expect([outcome, version, ...seen]).toEqual(['unknown', 'v1', 'unknown']);
  expect(lines).toEqual([
    expect.objectContaining({ level: 'error', message: 'review could not be recorded' }),
  ]);
});
