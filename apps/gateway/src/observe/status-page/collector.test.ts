import { AuthenticatorError } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import type { GatewayConfig } from '../../config/types.ts';
import { StatusError } from '../../http/kubernetes-status.ts';
import type { HealthCheck } from '../health.ts';
import {
  createLoginCounts,
  createRecentReviews,
  createStatusCollector,
  type StatusSources,
} from './collector.ts';
import { reviewReport } from './testing/report.ts';

function configOf(...names: string[]): GatewayConfig {
  const withhold = (words: string) => (words.includes('hunter2') ? 'withheld' : words);
  return {
    file: '/etc/sallyport/gateway.yaml',
    digest: '0123456789ab',
    authenticators: names.map((name) => {
      return { name, package: `@sallyport/${name}`, cache: 'off', onError: 'continue', withhold };
    }),
    cache: { memory: { maxEntries: 50_000 } },
  } as unknown as GatewayConfig;
}

function start(names: string[], checks: HealthCheck[] = [], changes: Partial<StatusSources> = {}) {
  return createStatusCollector(configOf(...names), {
    gateway: () => ({
      version: '1.0.0',
      state: 'listening',
      startedAt: 1,
      inFlight: 2,
      maxInFlight: 1000,
    }),
    links: () => names.map((name) => ({ name, guard: { circuitState: 'closed' } as never })),
    health: async () => checks,
    cache: () => ({ entries: 7 }),
    blocking: () => ({ blocked: 1, lockedOut: 0, cutOff: false }),
    logins: () => ({
      inFlight: 1,
      loggedIn: 2,
      refused: 3,
      unanswered: 4,
      loggedOut: 5,
      sessionsRefused: 6,
    }),
    refused: () => [{ what: 'config', at: 1, problems: ['is empty'] }],
    clocks: { monotonic: () => 123_456, wall: () => 1_700_000_000_000 },
    ...changes,
  });
}

/** Returns the document as it is sent. */
const sent = async (collector: ReturnType<typeof start>): Promise<string> =>
  JSON.stringify(await collector.document());

describe('the document of the page', () => {
  test('has the chain in its order, the health of each authenticator, and the config', async () => {
    const checks = [
      { name: 'break-glass', ok: true },
      { name: 'corp', ok: false, reason: 'no such base' },
    ];
    const collector = start(['break-glass', 'corp'], checks);
    const { authenticators, config, gateway, cache, blocking, recent } = await collector.document();
    expect(authenticators.map(({ name, healthy, reason }) => [name, healthy, reason])).toEqual([
      ['break-glass', true, undefined],
      ['corp', false, 'no such base'],
    ]);
    expect(config).toMatchObject({
      digest: '0123456789ab',
      refused: [{ what: 'config', at: 1, problems: ['is empty'] }],
      loadedAt: 1_700_000_000_000,
    });
    expect(gateway).toMatchObject({ inFlight: 2 });
    expect([cache, blocking, recent]).toEqual([
      { entries: 7, maxEntries: 50_000 },
      { blocked: 1, lockedOut: 0, cutOff: false },
      [],
    ]);
  });

  test('has the directory of an authenticator with its health, and no secret of either', async () => {
    const reason = 'circuit open';
    const checks = [{ name: 'corp', ok: false, reason }];
    const config = configOf('oidc', 'corp');
    const [oidc, corp] = config.authenticators;
    const withhold = (words: string) => words.replace('s3cret', 'withheld');
    const authenticators = [
      { ...oidc, directory: { authenticator: 'corp' } },
      { ...corp, withhold },
    ];
    const collector = start(['oidc', 'corp'], checks);
    collector.follow({ ...config, authenticators } as unknown as GatewayConfig);
    const error = new AuthenticatorError('unavailable', 'directory corp: s3cret');
    collector.record(reviewReport({ answers: [{ authenticator: 'oidc', seconds: 1, error }] }));
    const [first, second] = (await collector.document()).authenticators;
    expect(first?.directory).toEqual({ name: 'corp', healthy: false, reason });
    expect(first?.healthy).toBe(true);
    expect(first?.outage?.reason).toBe('directory corp: withheld');
    expect(second?.directory).toBe(undefined);
  });

  test('has no secret that a plugin quotes', async () => {
    const error = new AuthenticatorError(
      'unavailable',
      'https://svc:hunter2@corp.example does not answer',
    );
    const collector = start(['corp'], [{ name: 'corp', ok: false, reason: error.message }]);
    collector.record(reviewReport({ answers: [{ authenticator: 'corp', seconds: 1, error }] }));
    expect((await collector.document()).authenticators).toMatchObject([
      { reason: 'withheld', outage: { reason: 'withheld' } },
    ]);
  });

  test('has no token, wherever a report has one', async () => {
    const token = 's3cret-\u{1f511}"<token>';
    const collector = start(['corp']);
    const error = new AuthenticatorError('unavailable', `what of ${token}?`);
    const user = { username: `user ${token}` };
    collector.record(reviewReport({ token, end: { kind: 'authenticated', user } }));
    collector.record(
      reviewReport({ token, end: { kind: 'rejected', reason: 'expired', subject: token } }),
    );
    collector.record(
      reviewReport({ token, end: { kind: 'error', message: token, authenticators: [] } }),
    );
    collector.record(reviewReport({ token, outcome: 'error', end: new Error(token) }));
    collector.record(
      reviewReport({ token, answers: [{ authenticator: 'corp', seconds: 1, error }] }),
    );
    const text = await sent(collector);
    expect(text).toContain('user [token]');
    for (const part of ['s3cret', JSON.stringify(token).slice(1, -1)])
      expect(text).not.toContain(part);
  });

  test('makes control characters and changes of direction visible', async () => {
    const collector = start(
      ['corp'],
      [{ name: 'corp', ok: false, reason: 'a\u202eb\nsecond line' }],
    );
    collector.record(
      reviewReport({ end: { kind: 'authenticated', user: { username: 'root\u001b[2J\u202e' } } }),
    );
    const { authenticators, recent } = await collector.document();
    expect(authenticators[0]?.reason).toBe(`${String.raw`a\u{202e}b`}\nsecond line`);
    expect(recent[0]?.username).toBe(String.raw`root\u{1b}[2J\u{202e}`);
  });

  test('does not grow with the number of callers', async () => {
    const collector = start(['corp', 'robots']);
    const record = (username: string) =>
      collector.record(
        reviewReport({ token: username, end: { kind: 'authenticated', user: { username } } }),
      );
    for (let index = 0; index < 50; index++) record(`user-${index}`.padEnd(300, '.'));
    const before = (await sent(collector)).length;
    for (let index = 0; index < 5_000; index++)
      record(`user-${index}`.padEnd(300 + index / 10, '.'));
    // Counts have more digits by now.
    expect((await sent(collector)).length).toBeLessThan(before + 1_000);
    expect(before).toBeLessThan(64 * 1024);
  });

  test('has the certificates in force, and a new config once it runs', async () => {
    const collector = start(['corp']);
    const notAfter = new Date('2027-01-01');
    const certificate = {
      certificate: 'server',
      file: 'x',
      subject: 'CN=a',
      notBefore: notAfter,
      notAfter,
    } as const;
    collector.certificates([certificate]);
    collector.follow({ ...configOf('robots'), digest: 'ba9876543210' });
    const { certificates, authenticators, config } = await collector.document();
    expect(certificates).toEqual([
      { certificate: 'server', subject: 'CN=a', endsAt: notAfter.getTime() },
    ]);
    expect([authenticators[0]?.name, config.digest]).toEqual(['robots', 'ba9876543210']);
  });
});

test('shows a review without its token', () => {
  const recent = createRecentReviews();
  recent.record(reviewReport({ id: 'one' }));
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
  const answers = [
    { authenticator: 'corp', seconds: 0.001, decision, recognized: true, source: 'memory' },
  ] as const;
  recent.record(reviewReport({ outcome: 'rejected', end: decision, answers }));
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
  for (let index = 0; index < 120; index++) recent.record(reviewReport({ id: `${index}` }));
  expect(recent.list().map(({ id }) => id)).toEqual(
    Array.from({ length: 50 }, (_, index) => `${119 - index}`),
  );
});

test.each(['overloaded', 'invalid'] as const)(
  'however many are %s, they are one line and replace no other',
  (refusal) => {
    const refused = () =>
      reviewReport({ outcome: refusal, end: new StatusError(400, 'not a review'), answers: [] });
    const recent = createRecentReviews();
    recent.record(reviewReport({ id: 'before' }));
    for (let index = 0; index < 500; index++) recent.record(refused());
    recent.record(reviewReport({ id: 'after' }));
    recent.record(refused());
    expect(recent.list().map(({ id, outcome }) => (outcome === refusal ? outcome : id))).toEqual([
      refusal,
      'after',
      refusal,
      'before',
    ]);
  },
);

test('names with the token in them, or very long ones, are neither shown nor kept', () => {
  const recent = createRecentReviews();
  const end = (username: string) => ({ kind: 'authenticated', user: { username } }) as const;
  recent.record(reviewReport({ token: 's3cret', end: end('user of s3cret') }));
  recent.record(reviewReport({ end: end('é'.repeat(100_000)) }));
  expect(recent.list().map(({ username }) => username)).toEqual([
    `${'é'.repeat(256)}…`,
    'user of [token]',
  ]);
});

test('a login in a browser counts once, by the request that makes its session', () => {
  const { record, counts } = createLoginCounts();
  const count = (action: string, outcome: string, isDecision: boolean, session?: object) =>
    record({ action, outcome, isDecision, session });
  for (const action of ['begin', 'page']) count(action, 'ok', false);
  for (const action of ['page-login', 'confirm']) count(action, 'ok', true);
  for (const action of ['redeem', 'login']) count(action, 'ok', true, {});
  // The password was right, and the second factor comes with another request.
  for (const action of ['login', 'page-login', 'begin-factor']) count(action, 'incomplete', true);
  expect(counts).toMatchObject({ loggedIn: 2, refused: 0, unanswered: 0 });
  for (const action of ['login', 'page-login', 'provider-login', 'redeem'])
    count(action, 'refused', true);
  count('session', 'refused', false);
  for (const action of ['page-login', 'redeem']) count(action, 'unavailable', true);
  for (const action of ['provider', 'page']) count(action, 'unavailable', false);
  expect(counts).toMatchObject({ loggedIn: 2, refused: 4, unanswered: 3 });
});
