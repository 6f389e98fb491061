import { expect, test } from 'vitest';
import { StatusError } from '../../server/kubernetes-status.ts';
import { createRecentReviews } from './recent.ts';
import { report } from './testing/report.ts';

test('shows a review without its token', () => {
  const recent = createRecentReviews();
  recent.record(report({ id: 'one' }));
  expect(recent.list()).toEqual([
    {
      id: 'one',
      at: 1_700_000_000_000,
      outcome: 'authenticated',
      authenticator: 'corp',
      username: 'corp:ada',
      seconds: 0.004,
      callerGone: false,
    },
  ]);
});

test('shows who was refused, why, and the source of the answer', () => {
  const recent = createRecentReviews();
  const decision = { kind: 'rejected', reason: 'expired', subject: 'ada' } as const;
  const answers = [{ authenticator: 'corp', seconds: 0.001, decision, recognized: true, source: 'memory' }] as const;
  recent.record(report({ outcome: 'rejected', end: decision, answers }));
  expect(recent.list()[0]).toMatchObject({
    outcome: 'rejected',
    reason: 'expired',
    username: 'ada',
    authenticator: 'corp',
    source: 'memory',
  });
});

test('keeps the last 50, newest first', () => {
  const recent = createRecentReviews();
  for (let index = 0; index < 120; index++) recent.record(report({ id: `${index}` }));
  expect(recent.list().map(({ id }) => id)).toEqual(Array.from({ length: 50 }, (_, index) => `${119 - index}`));
});

test.each(['overloaded', 'invalid'] as const)(
  'however many are %s, they are one line and replace no other',
  (unread) => {
    const refused = () => report({ outcome: unread, end: new StatusError(400, 'refused unread'), answers: [] });
    const recent = createRecentReviews();
    recent.record(report({ id: 'before' }));
    for (let index = 0; index < 500; index++) recent.record(refused());
    recent.record(report({ id: 'after' }));
    recent.record(refused());
    expect(recent.list().map(({ id, outcome }) => (outcome === unread ? outcome : id))).toEqual([
      unread,
      'after',
      unread,
      'before',
    ]);
  },
);

test('names with the token in them, or very long ones, are neither shown nor held', () => {
  const recent = createRecentReviews();
  const end = (username: string) => ({ kind: 'authenticated', user: { username } }) as const;
  recent.record(report({ token: 's3cret', end: end('user of s3cret') }));
  recent.record(report({ end: end('é'.repeat(100_000)) }));
  expect(recent.list().map(({ username }) => username)).toEqual([`${'é'.repeat(256)}…`, 'user of [token]']);
});
