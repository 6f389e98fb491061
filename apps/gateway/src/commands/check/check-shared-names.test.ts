import { describe, expect, test } from 'vitest';
import { wholeDetail } from '../finding.ts';
import { checkSharedNames, findSharedNames } from './check-shared-names.ts';

/** Its tokens are `PREFIXname:password`. */
const directory = (name: string, prefix = '', reviews = true) => ({
  config: { name, reviews },
  authenticator: {
    loginToken: (username: string, password: string) => `${prefix}${username}:${password}`,
    recognizes: (token: string) =>
      token.startsWith(prefix) && token.slice(prefix.length).split(':').length === 2,
  },
});
const [corp, partner, lab] = [directory('corp'), directory('partner'), directory('lab', 'lab:')];
const robots = {
  config: { name: 'robots', reviews: true },
  authenticator: { recognizes: () => true },
};

test.each([
  {
    name: 'corp, robots, partner without logins',
    authenticators: [corp, robots, partner],
    login: undefined,
    expected: [
      'corp, partner: they are asked in this order about a name and a password in a token,',
    ],
  },
  {
    name: 'corp, partner with logins in their order',
    authenticators: [corp, partner],
    login: ['corp', 'partner'],
    expected: ['corp, partner: they … a password in a token or at a login,'],
  },
  {
    name: 'corp, partner with logins in the other order',
    authenticators: [corp, partner],
    login: ['partner', 'corp'],
    expected: ['corp, partner: they … in a token,', 'partner, corp: they … at a login,'],
  },
  {
    name: 'corp, lab with logins by both',
    authenticators: [corp, lab],
    login: ['corp', 'lab'],
    expected: ['corp, lab: they … at a login,'],
  },
  {
    name: 'corp, lab with logins by corp',
    authenticators: [corp, lab],
    login: ['corp'],
    expected: [],
  },
  { name: 'corp, lab without logins', authenticators: [corp, lab], login: undefined, expected: [] },
  {
    name: 'robots, corp without logins',
    authenticators: [robots, corp],
    login: undefined,
    expected: [],
  },
  // No review asks it about a token.
  {
    name: 'corp without reviews, partner with logins by corp',
    authenticators: [directory('corp', '', false), partner],
    login: ['corp'],
    expected: [],
  },
  {
    name: 'corp without reviews, partner with logins by both',
    authenticators: [directory('corp', '', false), partner],
    login: ['corp', 'partner'],
    expected: ['corp, partner: they … at a login,'],
  },
  {
    name: 'any, lab without logins',
    authenticators: [
      { config: { name: 'any', reviews: true }, authenticator: { loginToken: () => 'x' } },
      lab,
    ],
    login: undefined,
    expected: ['any, lab: they … in a token,'],
  },
])('names that are shared by $name: $expected', ({ authenticators, login, expected }) => {
  const findings = findSharedNames(authenticators, login);
  expect(findings).toHaveLength(expected.length);
  for (const [at, words] of expected.entries()) {
    const pattern = words.split('…').join('.*');
    expect(findings[at]?.detail).toMatch(
      new RegExp(`^${pattern} and the first one that knows the name decides\\. `),
    );
  }
});

describe('one prefix of usernames', () => {
  /** Each answers by itself about its own tokens, so that only their prefixes are checked. */
  const named = (
    name: string,
    prefix: string,
    more: { caching?: string; tokenStore?: string } = {},
  ) => ({
    config: {
      name,
      reviews: true,
      username: { prefix },
      plugin: { caching: more.caching ?? 'memory' },
    },
    authenticator: { ...(more.tokenStore !== undefined && { tokenStore: more.tokenStore }) },
  });
  const found = (...all: ReturnType<typeof named>[]) => {
    const login = { authenticators: ['corp'], sessions: 'sessions' };
    const chain = all as unknown as Parameters<typeof checkSharedNames>[0];
    return checkSharedNames(chain, login).map(
      (finding) => `${finding.result}: ${wholeDetail(finding)}`,
    );
  };

  test.each([
    { prefix: 'corp:', words: 'one username.prefix, "corp:"' },
    { prefix: '', words: 'no username.prefix' },
  ])('"$prefix" makes different people one user', ({ prefix, words }) => {
    expect(found(named('corp', prefix), named('lab', 'lab:'), named('partner', prefix))).toEqual([
      expect.stringMatching(
        `^warning: corp, partner: they have ${words}, so different people .* are one user`,
      ),
    ]);
  });

  test.each([
    { name: 'a file of the operator', other: named('break-glass', 'corp:', { caching: 'none' }) },
    {
      name: 'tokens that the operator issues',
      other: named('robots', 'corp:', { tokenStore: 'redis' }),
    },
    { name: 'sessions', other: named('sessions', 'corp:') },
    { name: 'another prefix', other: named('partner', 'corp:eu:') },
  ])('is nothing to warn of next to $name', ({ other }) => {
    expect(found(named('corp', 'corp:'), other)).toEqual([]);
  });
});
