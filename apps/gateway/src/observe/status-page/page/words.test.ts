import { expect, test } from 'vitest';
import type { AuthenticatorStatus, StatusDocument } from '../collector.ts';
import { noticesOf, overviewOf, span, stateOf, took } from './words.js';

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
) {
  const authenticators = Object.entries(all).map(([name, one]) => ({ name, ...one }));
  return overviewOf({ at: now, gateway, authenticators } as unknown as StatusDocument);
}

test.each<[Record<string, Partial<AuthenticatorStatus>>, string, string]>([
  [{ corp: healthy }, 'good', 'corp is healthy'],
  [{ a: healthy, b: healthy }, 'good', 'Both authenticators are healthy'],
  [{ a: healthy, b: healthy, c: healthy }, 'good', 'All 3 authenticators are healthy'],
  [
    { a: healthy, corp: open },
    'warn',
    'corp is unavailable: circuit open, 12 answers from cache so far',
  ],
  [
    { a: healthy, corp: { ...open, outage: { ...outage, stale: 1 } } },
    'warn',
    'corp is unavailable: circuit open, 1 answer from cache so far',
  ],
  [{ a: healthy, corp: { ...open, cached: false } }, 'warn', 'corp is unavailable: circuit open'],
  [
    { a: healthy, corp: { ...open, circuit: 'half-open', cached: false } },
    'warn',
    'corp is unavailable: circuit half-open',
  ],
  [
    { a: healthy, corp: { ...healthy, healthy: false } },
    'warn',
    'corp is unavailable: its check fails',
  ],
  [
    { a: healthy, corp: { ...healthy, outage: { ...outage, seenAt: now - 14_999 } } },
    'warn',
    'corp is unavailable: its last reviews failed',
  ],
  [{ corp: open }, 'bad', 'corp is unavailable: circuit open, 12 answers from cache so far'],
  [{ a: healthy, b: open, c: open }, 'warn', '2 of 3 authenticators are unavailable: b, c'],
  [{ a: open, b: open }, 'bad', 'None of the 2 authenticators is available'],
  [
    { a: healthy, oidc: { ...healthy, directory: corp } },
    'good',
    'Both authenticators are healthy',
  ],
  [
    { a: healthy, oidc: { ...healthy, directory: isDown } },
    'warn',
    'oidc is unavailable: it waits for corp',
  ],
  [
    { a: healthy, oidc: { ...healthy, healthy: false, directory: isDown } },
    'warn',
    'oidc is unavailable: its check fails',
  ],
])('%# the line at the top: %3$s', (all, level, title) => {
  expect(said({ state: 'listening' }, all)).toMatchObject({ level, title });
});

test('what screen readers read does not change with each answer', () => {
  const { spoken, title } = said({ state: 'listening' }, { a: healthy, corp: open });
  expect([spoken, title]).toEqual([
    'corp is unavailable: circuit open',
    expect.stringMatching(/^corp .* so far$/),
  ]);
});

test('says who is not asked any more, and who is healthy; a shutdown comes before both', () => {
  const stop = said({ state: 'listening' }, { corp: { ...open, onError: 'stop' }, b: healthy });
  expect(stop.text).toContain('No authenticator after corp is asked (onError: stop).');
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

test.each([
  [healthy, 'Healthy', undefined],
  [{ ...healthy, reason: 'one of two servers is down' }, 'Healthy', 'one of two servers is down'],
  [open, 'Circuit open', 'connect ECONNREFUSED'],
  [{ ...open, circuit: 'half-open' }, 'Circuit half-open', 'connect ECONNREFUSED'],
  [{ ...healthy, healthy: false, reason: 'no such base' }, 'Check fails', 'no such base'],
  [{ ...healthy, outage: { ...outage, seenAt: now } }, 'Reviews fail', 'connect ECONNREFUSED'],
  [{ ...healthy, outage: { ...outage, seenAt: now - 15_000 } }, 'Healthy', undefined],
  [{ ...healthy, directory: corp }, 'Healthy', undefined],
  [{ ...healthy, directory: isDown }, 'Waits for corp', 'circuit open'],
  [{ ...healthy, outage, directory: isDown }, 'Waits for corp', 'connect ECONNREFUSED'],
  [{ ...open, directory: isDown }, 'Circuit open', 'connect ECONNREFUSED'],
] as [Partial<AuthenticatorStatus>, string, string | undefined][])(
  '%# an authenticator in a word: %2$s',
  (one, word, why) => {
    expect(stateOf(one as AuthenticatorStatus, now)).toMatchObject({ word, why });
  },
);

test.each([
  { seconds: null, words: '–' },
  { seconds: 0.000_004, words: '<0.01 ms' },
  { seconds: 0.000_04, words: '0.04 ms' },
  { seconds: 0.000_21, words: '0.21 ms' },
  { seconds: 0.0042, words: '4.20 ms' },
  { seconds: 0.9996, words: '1.00 s' },
  { seconds: 3.014, words: '3.01 s' },
  { seconds: 120, words: '120 s' },
])('$seconds seconds took $words', ({ seconds, words }) => {
  expect(took(seconds)).toBe(words);
});

test.each([
  { milliseconds: -1, words: '0 s' },
  { milliseconds: 59_999, words: '59 s' },
  { milliseconds: 60_000, words: '1 min' },
  { milliseconds: 7_200_000, words: '2 h' },
  { milliseconds: 63.5 * 86_400_000, words: '63 days' },
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
  return noticesOf(status).map(({ level, title, lines }) => [level, title, ...lines]);
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
    ['warn', 'The server certificate expires in 13 days', 'CN=13'],
  ]);
  expect(noticed({ certificates: [one('server', -1)] })[0]?.slice(0, 2)).toEqual([
    'bad',
    'The server certificate has expired',
  ]);
});
