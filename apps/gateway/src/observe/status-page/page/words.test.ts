import { expect, test } from 'vitest';
import type { AuthenticatorStatus, StatusDocument } from '../collector.ts';
import { describeOverview, describeState, listNotices, span, took } from './words.js';

const now = 100_000;
const outage = { since: 0, seenAt: 0, reason: 'connect ECONNREFUSED', stale: 12, failed: 3 };
const healthy: Partial<AuthenticatorStatus> = {
  circuit: 'closed',
  healthy: true,
  cached: true,
  onError: 'continue',
};
const corp = { name: 'corp', healthy: true, reason: undefined };
const isDown = { ...corp, healthy: false, reason: 'circuit open' };
const open: Partial<AuthenticatorStatus> = { ...healthy, circuit: 'open', healthy: false, outage };

function said(
  gateway: Partial<StatusDocument['gateway']>,
  all: Record<string, Partial<AuthenticatorStatus>>,
  listAge: number | null = 0,
) {
  const authenticators = Object.entries(all).map(([name, one]) => ({ name, ...one }));
  const status = { at: now, gateway, authenticators, blocking: { listAge } };
  return describeOverview(status as unknown as StatusDocument);
}

test.each<{ all: Record<string, Partial<AuthenticatorStatus>>; level: string; title: string }>([
  { all: { corp: healthy }, level: 'good', title: 'corp is healthy' },
  { all: { a: healthy, b: healthy }, level: 'good', title: 'Both authenticators are healthy' },
  {
    all: { a: healthy, b: healthy, c: healthy },
    level: 'good',
    title: 'All 3 authenticators are healthy',
  },
  {
    all: { a: healthy, corp: open },
    level: 'warn',
    title: 'corp is unavailable: circuit open, 12 answers from cache so far',
  },
  {
    all: { a: healthy, corp: { ...open, outage: { ...outage, stale: 1 } } },
    level: 'warn',
    title: 'corp is unavailable: circuit open, 1 answer from cache so far',
  },
  {
    all: { a: healthy, corp: { ...open, cached: false } },
    level: 'warn',
    title: 'corp is unavailable: circuit open',
  },
  {
    all: { a: healthy, corp: { ...open, circuit: 'half-open', cached: false } },
    level: 'warn',
    title: 'corp is unavailable: circuit half-open',
  },
  {
    all: { a: healthy, corp: { ...healthy, healthy: false } },
    level: 'warn',
    title: 'corp is unavailable: its check fails',
  },
  {
    all: { a: healthy, corp: { ...healthy, outage: { ...outage, seenAt: now - 14_999 } } },
    level: 'warn',
    title: 'corp is unavailable: its last reviews failed',
  },
  {
    all: { corp: open },
    level: 'bad',
    title: 'corp is unavailable: circuit open, 12 answers from cache so far',
  },
  {
    all: { a: healthy, b: open, c: open },
    level: 'warn',
    title: '2 of 3 authenticators are unavailable: b, c',
  },
  { all: { a: open, b: open }, level: 'bad', title: 'None of the 2 authenticators is available' },
  {
    all: { a: healthy, oidc: { ...healthy, directory: corp } },
    level: 'good',
    title: 'Both authenticators are healthy',
  },
  {
    all: { a: healthy, oidc: { ...healthy, directory: isDown } },
    level: 'warn',
    title: 'oidc is unavailable: it waits for corp',
  },
  {
    all: { a: healthy, oidc: { ...healthy, healthy: false, directory: isDown } },
    level: 'warn',
    title: 'oidc is unavailable: its check fails',
  },
])('the line at the top is $level (case %#): $title', ({ all, level, title }) => {
  expect(said({ state: 'listening' }, all)).toMatchObject({ level, title });
});

test('users might not be let in before the revocation list was read', () => {
  expect(said({ state: 'listening' }, { corp: healthy }, null)).toMatchObject({
    ...{ level: 'warn', title: 'corp is healthy' },
    text: 'Users might not be let in: see below.',
  });
});

test('what screen readers read does not change with each answer', () => {
  const { spoken, title } = said({ state: 'listening' }, { a: healthy, corp: open });
  expect([spoken, title]).toEqual([
    'corp is unavailable: circuit open',
    expect.stringMatching(/^corp .* so far$/),
  ]);
});

test('reports who is no longer called, and who is healthy; a shutdown comes before both', () => {
  const stop = said({ state: 'listening' }, { corp: { ...open, onError: 'stop' }, b: healthy });
  expect(stop.text).toContain('No authenticator after corp is called (onError: stop).');
  expect(said({ state: 'listening' }, { corp: open, b: healthy }).text).toContain(
    'The other one is healthy.',
  );
  expect(said({ state: 'stopping' }, { corp: open }).title).toBe('This replica is shutting down');
});

test('users get in by cached answers of a directory that is down', () => {
  const waiting = { ...healthy, cached: false, directory: isDown };
  const { text } = said({ state: 'listening' }, { oidc: waiting });
  expect(text).toContain('may still get in with a cached answer');
});

test.each<{ one: Partial<AuthenticatorStatus>; word: string; why: string | undefined }>([
  { one: healthy, word: 'Healthy', why: undefined },
  {
    one: { ...healthy, reason: 'one of two servers is down' },
    word: 'Healthy',
    why: 'one of two servers is down',
  },
  { one: open, word: 'Circuit open', why: 'connect ECONNREFUSED' },
  {
    one: { ...open, circuit: 'half-open' },
    word: 'Circuit half-open',
    why: 'connect ECONNREFUSED',
  },
  {
    one: { ...healthy, healthy: false, reason: 'no such base' },
    word: 'Check fails',
    why: 'no such base',
  },
  {
    one: { ...healthy, outage: { ...outage, seenAt: now } },
    word: 'Reviews fail',
    why: 'connect ECONNREFUSED',
  },
  {
    one: { ...healthy, outage: { ...outage, seenAt: now - 15_000 } },
    word: 'Healthy',
    why: undefined,
  },
  { one: { ...healthy, directory: corp }, word: 'Healthy', why: undefined },
  { one: { ...healthy, directory: isDown }, word: 'Waits for corp', why: 'circuit open' },
  {
    one: { ...healthy, outage, directory: isDown },
    word: 'Waits for corp',
    why: 'connect ECONNREFUSED',
  },
  { one: { ...open, directory: isDown }, word: 'Circuit open', why: 'connect ECONNREFUSED' },
])('an authenticator in a word is: $word (case %#)', ({ one, word, why }) => {
  expect(describeState(one as AuthenticatorStatus, now)).toMatchObject({ word, why });
});

test.each([
  { seconds: null, words: '–' },
  { seconds: 0.000_004, words: '<0.01ms' },
  { seconds: 0.000_04, words: '0.04ms' },
  { seconds: 0.000_21, words: '0.21ms' },
  { seconds: 0.0042, words: '4.20ms' },
  { seconds: 0.9996, words: '1.00s' },
  { seconds: 3.014, words: '3.01s' },
  { seconds: 120, words: '120s' },
])('$seconds seconds took $words', ({ seconds, words }) => {
  expect(took(seconds)).toBe(words);
});

test.each([
  { milliseconds: -1, words: '0s' },
  { milliseconds: 59_999, words: '59s' },
  { milliseconds: 60_000, words: '1m' },
  { milliseconds: 7_200_000, words: '2h' },
  { milliseconds: 63.5 * 86_400_000, words: '63d' },
])('$milliseconds ms are $words', ({ milliseconds, words }) => {
  expect(span(milliseconds)).toBe(words);
});

const day = 86_400_000;
const at = 1_700_000_000_000;

function noticed(changes: object) {
  const status = {
    at,
    gateway: { inFlight: 1000, maxInFlight: 1000 },
    config: { refused: [] },
    blocking: { blocked: 0, cutOff: false },
    cache: {},
    certificates: [],
    recent: [],
    ...changes,
  } as unknown as StatusDocument;
  return listNotices(status).map(({ level, title, lines }) => [level, title, ...lines]);
}

test('has no notice without a problem', () => {
  expect(noticed({ cache: { redis: { circuitOpen: false } } })).toEqual([]);
});

test('shows what on disk was refused, and why', () => {
  const refused = [
    { what: 'config', at, problems: ['gateway.yaml:1:1: is empty'] },
    { what: '/etc/tokens.yaml', at, problems: ['is bad'] },
  ];
  expect(noticed({ config: { refused } })).toEqual([
    [
      'bad',
      expect.stringMatching(/^The config on disk was refused at \d\d:\d\d:\d\d: /),
      'gateway.yaml:1:1: is empty',
    ],
    ['bad', expect.stringMatching(/^\/etc\/tokens.yaml on disk was refused/), 'is bad'],
  ]);
});

test('shows an open circuit of Redis, or instead that blocks do not arrive here', () => {
  const cache = { redis: { circuitOpen: true } };
  expect(noticed({ cache })[0]).toEqual([
    'warn',
    'The circuit of the shared Redis is open',
    expect.any(String),
  ]);
  const cutOff = (listAge: number | null, isCutOff = true) =>
    noticed({ cache, blocking: { blocked: 0, cutOff: isCutOff, listAge } });
  const title = 'Cut off from the revocation list';
  expect(cutOff(2)).toEqual([
    ['bad', title, expect.stringContaining('New blocks and revocations are not known here')],
  ]);
  // Redis answers, and has no list.
  for (const isCutOff of [true, false])
    expect(cutOff(null, isCutOff)).toEqual([
      ['bad', title, expect.stringContaining('No one is let in, unless')],
    ]);
});

test('shows an overload while it lasts', () => {
  const recent = (age: number) => [{ outcome: 'overloaded', at: at - age }];
  expect(noticed({ recent: recent(1_000) })[0]?.[1]).toBe(
    'Overloaded: token reviews are refused with 429',
  );
  expect(noticed({ recent: recent(61_000) })).toEqual([]);
});

test('shows a certificate that expires within 14 days, but not a CA that another one outlives', () => {
  const one = (certificate: string, days: number) => ({
    certificate,
    subject: `CN=${days}`,
    endsAt: at + days * day,
  });
  const certificates = [one('server', 13), one('client-ca', 1), one('client-ca', 400)];
  expect(noticed({ certificates })).toEqual([
    ['warn', 'The server certificate expires in 13d', 'CN=13'],
  ]);
  expect(noticed({ certificates: [one('server', -1)] })[0]?.slice(0, 2)).toEqual([
    'bad',
    'The server certificate has expired',
  ]);
});
