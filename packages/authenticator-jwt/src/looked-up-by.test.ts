import type { LookUpKey } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import { listWarnings } from './looked-up-by.ts';
import { settled, writtenOptions } from './testing/written-options.ts';

const tenant = { extra: 'example.com/tenant' };

/** Returns the warnings of issuers of these claims, by the part of the user that `directory` looks up. */
function warnings(by: LookUpKey, claim: string, requiredValue?: string | boolean, rule = '') {
  const other = { claim: 'other' };
  const username = by === 'username' ? { claim } : other;
  const uid = by === 'uid' ? { claim } : other;
  const extra = [
    { key: 'example.com/other', claim: 'other' },
    { key: tenant.extra, claim: by === 'username' || by === 'uid' ? 'other' : claim },
  ];
  const claimValidationRules =
    requiredValue === undefined ? [] : [{ claim: rule || `${claim}_verified`, requiredValue }];
  const options = settled(
    writtenOptions({ claimMappings: { username, uid, extra }, claimValidationRules }),
  );
  return listWarnings(options.issuers, by);
}

const keys: readonly LookUpKey[] = ['username', 'uid', tenant];

describe.each(keys.map((by) => ({ by })))('users who are looked up by $by', ({ by }) => {
  test.each(['email', 'phone_number'])('and may have an unverified %s', (claim) => {
    const unverified = [
      `issuer https://idp.example.com: directory finds its users by the claim ${claim}, which is also accepted unverified: ` +
        "a person who enters another person's value at the provider gets that person's groups. " +
        `Add { claim: ${claim}_verified, requiredValue: true } to claimValidationRules, or map a claim that only the provider sets, such as sub`,
    ];
    expect(warnings(by, claim)).toEqual(unverified);
    expect(warnings(by, claim, false)).toEqual(unverified);
    expect(warnings(by, claim, true, 'hd')).toEqual(unverified);
    expect(warnings(by, claim, true)).toEqual([]);
    expect(warnings(by, claim, 'true')).toEqual([]);
  });

  test.each(['name', 'nickname', 'given_name', 'family_name'])('and edit their %s', (claim) => {
    expect(warnings(by, claim)).toEqual([
      `issuer https://idp.example.com: directory finds its users by the claim ${claim}, which people usually edit themselves: ` +
        "a person who enters another person's value at the provider gets that person's groups. " +
        'Map a claim that only the provider sets, such as sub',
    ]);
  });

  test.each(['sub', 'oid', 'preferred_username', 'upn', 'constructor', 'email_verified'])(
    'and have the claim %s, which no warning could change',
    (claim) => expect(warnings(by, claim)).toEqual([]),
  );
});

test('several issuers have a warning together, and each has its own', () => {
  const [first] = writtenOptions({ claimMappings: { username: { claim: 'email' } } }).issuers;
  const issuer = { url: 'https://other.example.com', audiences: ['kubernetes'] };
  const [second] = writtenOptions({
    issuer,
    claimMappings: { username: { claim: 'name' } },
  }).issuers;
  expect(listWarnings(settled({ issuers: [first, second] }).issuers, 'username')).toEqual([
    expect.stringMatching(/^directory finds the users of 2 issuers in one place: /),
    expect.stringMatching(/^issuer https:\/\/idp\.example\.com: .* claim email,/),
    expect.stringMatching(/^issuer https:\/\/other\.example\.com: .* claim name,/),
  ]);
});

test('a prefix that the directory does not know has a warning, only where it is looked up', () => {
  const username = { claim: 'sub', prefix: 'oidc:' };
  const { issuers } = settled(
    writtenOptions({ claimMappings: { username, uid: { claim: 'sub' } } }),
  );
  expect(listWarnings(issuers, 'username')).toEqual([
    'issuer https://idp.example.com: directory looks its users up with the prefix "oidc:" of claimMappings.username, ' +
      'which no user of a directory has. Move the prefix to username.prefix next to options',
  ]);
  expect(listWarnings(issuers, 'uid')).toEqual([]);
});
