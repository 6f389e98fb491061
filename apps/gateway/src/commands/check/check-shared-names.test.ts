import { describe, expect, test } from 'vitest';
import { wholeDetail } from '../finding.ts';
import { checkSharedNames, sharedNames } from './check-shared-names.ts';

/** Its tokens are `PREFIXname:password`. */
const directory = (name: string, prefix = '', reviews = true) => ({
  name,
  reviews,
  authenticator: {
    loginToken: (username: string, password: string) => `${prefix}${username}:${password}`,
    recognizes: (token: string) =>
      token.startsWith(prefix) && token.slice(prefix.length).split(':').length === 2,
  },
});
const [corp, partner, lab] = [directory('corp'), directory('partner'), directory('lab', 'lab:')];
const robots = { name: 'robots', reviews: true, authenticator: { recognizes: () => true } };

test.each([
  [
    [corp, robots, partner],
    undefined,
    ['corp, partner: they are asked in this order about a name and a password in a token,'],
  ],
  [
    [corp, partner],
    ['corp', 'partner'],
    ['corp, partner: they … a password in a token or at a login,'],
  ],
  [
    [corp, partner],
    ['partner', 'corp'],
    ['corp, partner: they … in a token,', 'partner, corp: they … at a login,'],
  ],
  [[corp, lab], ['corp', 'lab'], ['corp, lab: they … at a login,']],
  [[corp, lab], ['corp'], []],
  [[corp, lab], undefined, []],
  [[robots, corp], undefined, []],
  // No review asks it about a token.
  [[directory('corp', '', false), partner], ['corp'], []],
  [
    [directory('corp', '', false), partner],
    ['corp', 'partner'],
    ['corp, partner: they … at a login,'],
  ],
  [
    [{ name: 'any', reviews: true, authenticator: { loginToken: () => 'x' } }, lab],
    undefined,
    ['any, lab: they … in a token,'],
  ],
])('of %j with logins by %j', (all, login, expected) => {
  const found = sharedNames(all, login);
  expect(found).toHaveLength(expected.length);
  for (const [at, words] of expected.entries()) {
    const pattern = words.split('…').join('.*');
    expect(found[at]?.message).toMatch(
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
    name,
    reviews: true,
    username: { prefix },
    plugin: { caching: more.caching ?? 'memory' },
    authenticator: { ...(more.tokenStore !== undefined && { tokenStore: more.tokenStore }) },
  });
  const found = (...all: ReturnType<typeof named>[]) => {
    const login = { authenticators: ['corp'], sessions: 'sessions' };
    const settings = { authenticators: all, login } as unknown as Parameters<
      typeof checkSharedNames
    >[1];
    return checkSharedNames(all, settings).map(
      (one) => `${one.result} ${one.check}: ${wholeDetail(one)}`,
    );
  };

  test.each([
    ['corp:', 'one username.prefix, "corp:"'],
    ['', 'no username.prefix'],
  ])('%j makes different people one user', (prefix, words) => {
    expect(found(named('corp', prefix), named('lab', 'lab:'), named('partner', prefix))).toEqual([
      expect.stringMatching(
        `^warning shared names: corp, partner: they have ${words}, so different people .* are one user`,
      ),
    ]);
  });

  test.each([
    ['a file of the operator', named('break-glass', 'corp:', { caching: 'none' })],
    ['tokens that the operator issues', named('robots', 'corp:', { tokenStore: 'redis' })],
    ['sessions', named('sessions', 'corp:')],
    ['another prefix', named('partner', 'corp:eu:')],
  ])('is nothing to warn of next to %s', (_name, other) => {
    expect(found(named('corp', 'corp:'), other)).toEqual([]);
  });
});
