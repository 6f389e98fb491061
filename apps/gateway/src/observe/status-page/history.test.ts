import { AuthenticatorError } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import type { Answer } from '../../engine/chain/chain.ts';
import { createHistories, type Histories } from './history.ts';

const wallStart = Date.UTC(2026, 0, 1);

function start(...names: string[]) {
  let now = 5_000_123;
  const clocks = { monotonic: () => now, wall: () => wallStart + now };
  const histories = createHistories(clocks);
  histories.follow(names);
  return { histories, pass: (milliseconds: number) => (now += milliseconds) };
}

const authenticated = (more: object = {}): Answer => ({
  authenticator: 'corp',
  seconds: 0.002,
  decision: { kind: 'authenticated', user: { username: 'ada' } },
  recognized: true,
  ...more,
});
const down = new AuthenticatorError('unavailable', 'connect ECONNREFUSED');
const failed = (error: Error = down): Answer => ({ authenticator: 'corp', seconds: 0.5, error });
const stale = authenticated({ source: 'stale', failure: down });
const last = <T>(values: readonly T[]) => values.at(-1);
const ofCorp = (histories: Histories) => histories.of('corp').history;

describe('the history of an authenticator', () => {
  test('counts decisions and their sources in the current bucket', () => {
    const { histories } = start('corp');
    const answers = [
      authenticated(),
      authenticated({ source: 'memory', seconds: 0.000_01 }),
      authenticated({ source: 'redis' }),
      stale,
      failed(),
      { ...authenticated(), decision: { kind: 'rejected', reason: 'expired' } } as Answer,
      { ...authenticated({ seconds: 0.006 }), decision: { kind: 'no-opinion' } } as Answer,
    ];
    for (const answer of answers) histories.record(answer, 'token');
    const history = ofCorp(histories);
    const sum = {
      authenticated: 3,
      stale: 1,
      rejected: 1,
      unknown: 1,
      error: 1,
      memory: 1,
      redis: 1,
      backend: 3,
    };
    expect(history.sum).toEqual(sum);
    expect(history.counts.authenticated).toHaveLength(90);
    expect(Object.values(history.counts).map(last)).toEqual([3, 1, 1, 1, 1]);
    expect([history.mean, history.slowest]).toEqual([0.003_333, 0.5]);
    expect([last(history.means), last(history.slowests), history.means[0]]).toEqual([
      0.003_333,
      0.5,
      null,
    ]);
  });

  test('has a bucket for each 10 s, and forgets them after a quarter of an hour', () => {
    const { histories, pass } = start('corp');
    histories.record(authenticated(), 'token');
    pass(10_000);
    histories.record(authenticated(), 'token');
    expect(ofCorp(histories).counts.authenticated.slice(-3)).toEqual([0, 1, 1]);
    pass(88 * 10_000);
    expect(ofCorp(histories).counts.authenticated.slice(0, 3)).toEqual([1, 1, 0]);
    pass(10_000);
    histories.record(authenticated(), 'token');
    expect(ofCorp(histories).sum.authenticated).toBe(2);
    pass(90 * 10_000);
    expect(ofCorp(histories)).toMatchObject({
      sum: { authenticated: 0, backend: 0 },
      mean: null,
      slowest: null,
    });
  });

  test('knows when its last bucket began', () => {
    const { histories, pass } = start('corp');
    pass(4_877);
    expect(histories.times()).toEqual({
      bucketSeconds: 10,
      buckets: 90,
      lastFrom: wallStart + 5_000_000,
    });
  });

  test('leaves out tokens that were not recognized, removed authenticators, and blocks from the backend’s answers', () => {
    const { histories } = start('corp');
    histories.record(
      { ...authenticated({ recognized: false }), decision: { kind: 'no-opinion' } } as Answer,
      'token',
    );
    histories.record({ ...authenticated(), authenticator: 'removed' }, 'token');
    histories.record(
      { ...authenticated(), decision: { kind: 'rejected', reason: 'blocked' } } as Answer,
      'token',
    );
    expect(ofCorp(histories).sum).toMatchObject({ unknown: 0, rejected: 1, backend: 0 });
    expect(histories.of('removed').history.sum.authenticated).toBe(0);
  });

  test('stays through a reload that keeps its authenticator, and goes with it', () => {
    const { histories } = start('corp');
    histories.record(authenticated(), 'token');
    histories.follow(['robots', 'corp']);
    expect(ofCorp(histories).sum.authenticated).toBe(1);
    histories.follow(['robots']);
    histories.follow(['corp']);
    expect(ofCorp(histories).sum.authenticated).toBe(0);
  });
});

describe('an outage', () => {
  test('begins with the first failure, whose reason has no token in it, and ends with an answer of the backend', () => {
    const { histories, pass } = start('corp');
    histories.record(
      failed(new AuthenticatorError('unavailable', 'no answer to s3cret')),
      's3cret',
    );
    pass(1_000);
    histories.record(
      failed(new AuthenticatorError('unavailable', 'circuit open, next call in 5s')),
      's3cret',
    );
    histories.record(stale, 's3cret');
    pass(1_000);
    histories.record(authenticated({ source: 'memory' }), 's3cret');
    const since = wallStart + 5_000_123;
    const expected = {
      since,
      seenAt: since + 1_000,
      reason: 'no answer to [token]',
      stale: 1,
      failed: 2,
    };
    expect(histories.of('corp').outage).toEqual(expected);
    histories.record(authenticated(), 's3cret');
    expect(histories.of('corp').outage).toBeUndefined();
  });

  test('does not begin with a failure of one token, and has no message of other errors', () => {
    const { histories } = start('corp');
    histories.record(failed(new AuthenticatorError('failed', 'the record is bad')), 'token');
    expect(histories.of('corp').outage).toBeUndefined();
    histories.record(failed(new TypeError('quotes its input')), 'token');
    expect(histories.of('corp').outage?.reason).toBe('a bug in its plugin (TypeError)');
  });
});
