import { expect, test } from 'vitest';
import type { AuthenticatorStatus, GatewayStatus, StatusDocument } from '../document.ts';
import { span, stateOf, took, verdict } from './words.js';

const now = 100_000;
const outage = { since: 0, seenAt: 0, reason: 'connect ECONNREFUSED', stale: 12, failed: 3 };
const well: Partial<AuthenticatorStatus> = { circuit: 'closed', healthy: true, cached: true, onError: 'continue' };
const open: Partial<AuthenticatorStatus> = { ...well, circuit: 'open', healthy: false, outage };

function said(gateway: Partial<GatewayStatus>, ...authenticators: [string, Partial<AuthenticatorStatus>][]) {
  const all = authenticators.map(([name, one]) => ({ name, ...one }));
  return verdict({ at: now, gateway, authenticators: all } as unknown as StatusDocument);
}

test.each([
  [[['corp', well]], 'good', 'corp answers'],
  [
    [
      ['a', well],
      ['b', well],
    ],
    'good',
    'Both authenticators answer',
  ],
  [
    [
      ['a', well],
      ['b', well],
      ['c', well],
    ],
    'good',
    'All 3 authenticators answer',
  ],
  [
    [
      ['a', well],
      ['corp', open],
    ],
    'warn',
    'corp can’t be asked: circuit open, 12 answers from cache so far',
  ],
  [
    [
      ['a', well],
      ['corp', { ...open, outage: { ...outage, stale: 1 } }],
    ],
    'warn',
    'corp can’t be asked: circuit open, 1 answer from cache so far',
  ],
  [
    [
      ['a', well],
      ['corp', { ...open, cached: false }],
    ],
    'warn',
    'corp can’t be asked: circuit open',
  ],
  [
    [
      ['a', well],
      ['corp', { ...open, circuit: 'half-open', cached: false }],
    ],
    'warn',
    'corp can’t be asked: circuit half-open',
  ],
  [
    [
      ['a', well],
      ['corp', { ...well, healthy: false }],
    ],
    'warn',
    'corp can’t be asked: its check fails',
  ],
  [
    [
      ['a', well],
      ['corp', { ...well, outage: { ...outage, seenAt: now - 14_999 } }],
    ],
    'warn',
    'corp can’t be asked: its last reviews failed',
  ],
  [[['corp', open]], 'bad', 'corp can’t be asked: circuit open, 12 answers from cache so far'],
  [
    [
      ['a', well],
      ['b', open],
      ['c', open],
    ],
    'warn',
    '2 of 3 authenticators can’t be asked: b, c',
  ],
  [
    [
      ['a', open],
      ['b', open],
    ],
    'bad',
    'None of the 2 authenticators can be asked',
  ],
] as [[string, Partial<AuthenticatorStatus>][], string, string][])(
  '%# the line at the top: %3$s',
  (all, level, title) => {
    expect(said({ state: 'listening' }, ...all)).toMatchObject({ level, title });
  },
);

test('what is read aloud does not change with each answer', () => {
  const { spoken, title } = said({ state: 'listening' }, ['a', well], ['corp', open]);
  expect([spoken, title]).toEqual(['corp can’t be asked: circuit open', expect.stringMatching(/^corp .* so far$/)]);
});

test('says who is asked no more, who answers, and a shutdown before all', () => {
  const stop = said({ state: 'listening' }, ['corp', { ...open, onError: 'stop' }], ['b', well]);
  expect(stop.text).toContain('Nobody after corp is asked (onError: stop).');
  expect(said({ state: 'listening' }, ['corp', open], ['b', well]).text).toContain('The other one answers.');
  expect(said({ state: 'stopping' }, ['corp', open]).title).toBe('This replica is shutting down');
});

test.each([
  [well, 'Answers', undefined],
  [open, 'Left alone', 'connect ECONNREFUSED'],
  [{ ...open, circuit: 'half-open' }, 'Being tried', 'connect ECONNREFUSED'],
  [{ ...well, healthy: false, reason: 'no such base' }, 'Check fails', 'no such base'],
  [{ ...well, outage: { ...outage, seenAt: now } }, 'Reviews fail', 'connect ECONNREFUSED'],
  [{ ...well, outage: { ...outage, seenAt: now - 15_000 } }, 'Answers', undefined],
] as [Partial<AuthenticatorStatus>, string, string | undefined][])(
  '%# an authenticator in a word: %2$s',
  (one, word, why) => {
    expect(stateOf(one as AuthenticatorStatus, now)).toMatchObject({ word, why });
  },
);

test.each([
  [null, '–'],
  [0.000_004, '<0.01 ms'],
  [0.000_04, '0.04 ms'],
  [0.000_21, '0.21 ms'],
  [0.0042, '4.20 ms'],
  [0.9996, '1.00 s'],
  [3.014, '3.01 s'],
  [120, '120 s'],
])('%j seconds took %s', (seconds, words) => {
  expect(took(seconds)).toBe(words);
});

test.each([
  [-1, '0 s'],
  [59_999, '59 s'],
  [60_000, '1 min'],
  [7_200_000, '2 h'],
  [63.5 * 86_400_000, '63 days'],
])('%d ms are %s', (milliseconds, words) => {
  expect(span(milliseconds)).toBe(words);
});
