import type { RejectionReason } from '@sallyport/authenticator';
import { expect, test } from 'vitest';
import { createLog } from '../testing/server.ts';
import { createReviewLog, createReviewReporter } from './review-report.ts';

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

test('a decision about a user who was looked up names the directory, and no other line does', () => {
  const { lines, logger } = createLog();
  const log = createReviewLog(logger, () => 0);
  const end = { kind: 'rejected', reason: 'disabled', subject: 'jane' } as const;
  const ended = {
    id: 'a',
    at: 0,
    seconds: 0,
    version: 'v1',
    callerGone: false,
    token: 't',
  } as const;
  const answer = { authenticator: 'oidc', seconds: 0, directory: { name: 'corp' } };
  const answers = [{ ...answer, decision: end, recognized: true }];
  log({ ...ended, outcome: 'rejected', end, answers });
  const error = { kind: 'error', message: 'oidc unavailable', authenticators: ['oidc'] } as const;
  const failed = [{ ...answer, error: new Error('down') }];
  log({ ...ended, outcome: 'error', end: error, answers: failed });
  expect(lines.map(({ fields }) => fields)).toEqual([
    expect.objectContaining({ authenticator: 'oidc', directory: 'corp' }),
    expect.not.objectContaining({ directory: 'corp' }),
  ]);
});

test('a refusal for the audience says what was asked for, and what the token is valid for, never the token', () => {
  const { lines, logger } = createLog();
  const report = createReviewReporter([createReviewLog(logger, () => 0)], logger);
  const ended = { id: 'a', at: 0, seconds: 0, answers: [], callerGone: false } as const;
  const request = { apiVersion: 'authentication.k8s.io/v1', token: 'secret' } as const;
  const end = { kind: 'rejected', reason: 'audience-mismatch', audiences: ['prod', 'b'] } as const;
  report({ ...ended, request: { ...request, audiences: ['dev', 'x secret'] }, end });
  report({
    ...ended,
    request: { ...request, audiences: ['dev'] },
    end: { ...end, reason: 'revoked' },
  });
  expect(lines.map(({ fields }) => fields)).toEqual([
    expect.objectContaining({ askedFor: ['dev', 'x [token]'], validFor: ['prod', 'b'] }),
    expect.not.objectContaining({ askedFor: expect.anything(), validFor: expect.anything() }),
  ]);
});

test('of refusals that name no user one in 10 s is at info for each authenticator and reason, with the number of the others', () => {
  const { lines, logger } = createLog();
  let now = 0;
  const log = createReviewLog(logger, () => now);
  const refuse = (reason: RejectionReason, authenticator: string, subject?: string) => {
    const end = { kind: 'rejected', reason, ...(subject !== undefined && { subject }) } as const;
    const answers = [{ authenticator, seconds: 0, decision: end, recognized: true }];
    const ended = { id: 'a', at: 0, seconds: 0, version: 'v1', callerGone: false } as const;
    log({ ...ended, token: 't', outcome: 'rejected', end, answers });
  };
  for (let count = 0; count < 5; count += 1) refuse('invalid-credentials', 'oidc');
  refuse('expired', 'oidc');
  refuse('expired', 'ci');
  for (let count = 0; count < 3; count += 1) refuse('expired', 'oidc', 'jane');
  now = 10_000;
  refuse('invalid-credentials', 'oidc');
  const written = lines
    .filter(({ level }) => level === 'info')
    .map(({ fields }) => fields as Record<string, unknown>);
  expect(
    written.map(({ authenticator, reason, subject, unloggedSince }) =>
      [authenticator, reason, subject, unloggedSince].filter((value) => value !== undefined),
    ),
  ).toEqual([
    ['oidc', 'invalid-credentials'],
    ['oidc', 'expired'],
    ['ci', 'expired'],
    ['oidc', 'expired', 'jane'],
    ['oidc', 'expired', 'jane'],
    ['oidc', 'expired', 'jane'],
    ['oidc', 'invalid-credentials', 4],
  ]);
  expect(lines.filter(({ level }) => level === 'debug')).toHaveLength(4);
});
