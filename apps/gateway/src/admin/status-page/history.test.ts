import { AuthenticatorError } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import type { Answer } from '../../chain/chain.ts';
import { createHistories, type Histories } from './history.ts';

const wallStart = Date.UTC(2026, 0, 1);

function start(...names: string[]) {
  let now = 5_000_123;
  const clocks = { monotonic: () => now, wall: () => wallStart + now };
  const histories = createHistories(clocks);
  histories.follow(names);
  return { histories, pass: (milliseconds: number) => (now += milliseconds) };
}

const yes = (more: object = {}): Answer => ({
  authenticator: 'corp',
  seconds: 0.002,
  decision: { kind: 'authenticated', user: { username: 'ada' } },
  recognized: true,
  ...more,
});
const down = new AuthenticatorError('unavailable', 'connect ECONNREFUSED');
const failed = (error: Error = down): Answer => ({ authenticator: 'corp', seconds: 0.5, error });
const stale = yes({ source: 'stale', failure: down });
const last = <T>(values: readonly T[]) => values.at(-1);
const ofCorp = (histories: Histories) => histories.of('corp').history;

describe('the history of an authenticator', () => {
  test('counts what was said, and where from, in the bucket of now', () => {
    const { histories } = start('corp');
    const answers = [
      yes(),
      yes({ source: 'memory', seconds: 0.000_01 }),
      yes({ source: 'redis' }),
      stale,
      failed(),
      { ...yes(), decision: { kind: 'rejected', reason: 'expired' } } as Answer,
      { ...yes({ seconds: 0.006 }), decision: { kind: 'no-opinion' } } as Answer,
    ];
    for (const answer of answers) histories.record(answer, 'token');
    const history = ofCorp(histories);
    const sum = { yes: 3, stale: 1, refused: 1, unknown: 1, failed: 1, memory: 1, redis: 1, backend: 3 };
    expect(history.sum).toEqual(sum);
    expect(history.counts.yes).toHaveLength(90);
    expect(Object.values(history.counts).map(last)).toEqual([3, 1, 1, 1, 1]);
    expect([history.mean, history.slowest]).toEqual([0.003_333, 0.5]);
    expect([last(history.means), last(history.slowests), history.means[0]]).toEqual([0.003_333, 0.5, null]);
  });

  test('moves on every 10 s, and forgets after a quarter of an hour', () => {
    const { histories, pass } = start('corp');
    histories.record(yes(), 'token');
    pass(10_000);
    histories.record(yes(), 'token');
    expect(ofCorp(histories).counts.yes.slice(-3)).toEqual([0, 1, 1]);
    pass(88 * 10_000);
    expect(ofCorp(histories).counts.yes.slice(0, 3)).toEqual([1, 1, 0]);
    pass(10_000);
    histories.record(yes(), 'token');
    expect(ofCorp(histories).sum.yes).toBe(2);
    pass(90 * 10_000);
    expect(ofCorp(histories)).toMatchObject({ sum: { yes: 0, backend: 0 }, mean: null, slowest: null });
  });

  test('tells when its last bucket began', () => {
    const { histories, pass } = start('corp');
    pass(4_877);
    expect(histories.times()).toEqual({ bucketSeconds: 10, buckets: 90, lastFrom: wallStart + 5_000_000 });
  });

  test('leaves out who has not looked at the token, who is not in the config, and blocks among the backend’s', () => {
    const { histories } = start('corp');
    histories.record({ ...yes({ recognized: false }), decision: { kind: 'no-opinion' } } as Answer, 'token');
    histories.record({ ...yes(), authenticator: 'removed' }, 'token');
    histories.record({ ...yes(), decision: { kind: 'rejected', reason: 'blocked' } } as Answer, 'token');
    expect(ofCorp(histories).sum).toMatchObject({ unknown: 0, refused: 1, backend: 0 });
    expect(histories.of('removed').history.sum.yes).toBe(0);
  });

  test('stays through a reload that keeps its authenticator, and goes with it', () => {
    const { histories } = start('corp');
    histories.record(yes(), 'token');
    histories.follow(['robots', 'corp']);
    expect(ofCorp(histories).sum.yes).toBe(1);
    histories.follow(['robots']);
    histories.follow(['corp']);
    expect(ofCorp(histories).sum.yes).toBe(0);
  });
});

describe('an outage', () => {
  test('begins with the first failure, whose reason is told without the token, and ends with an answer of the backend', () => {
    const { histories, pass } = start('corp');
    histories.record(failed(new AuthenticatorError('unavailable', 'no answer to s3cret')), 's3cret');
    pass(1_000);
    histories.record(failed(new AuthenticatorError('unavailable', 'circuit open, next try in 5s')), 's3cret');
    histories.record(stale, 's3cret');
    pass(1_000);
    histories.record(yes({ source: 'memory' }), 's3cret');
    const since = wallStart + 5_000_123;
    const told = { since, seenAt: since + 1_000, reason: 'no answer to [token]', stale: 1, failed: 2 };
    expect(histories.of('corp').outage).toEqual(told);
    histories.record(yes(), 's3cret');
    expect(histories.of('corp').outage).toBeUndefined();
  });

  test('is no failure of one token alone, and of other errors tells no message', () => {
    const { histories } = start('corp');
    histories.record(failed(new AuthenticatorError('failed', 'the record is bad')), 'token');
    expect(histories.of('corp').outage).toBeUndefined();
    histories.record(failed(new TypeError('quotes what it met')), 'token');
    expect(histories.of('corp').outage?.reason).toBe('a fault of its plugin (TypeError)');
  });
});
