import { describe, expect, test } from 'vitest';
import { mapUser, readCredential, whyNoGroups } from './claims.ts';
import { settled, writtenOptions } from './testing/written-options.ts';

/** Returns the options of the only issuer, with these keys. */
const issuer = (changed: object) => {
  const [one] = settled(writtenOptions(changed)).issuers;
  if (one === undefined) throw new Error('there is no issuer');
  return one;
};

const mapped = (claims: object, claimMappings: object, more: object = {}) =>
  mapUser(claims as Record<string, unknown>, issuer({ claimMappings, ...more }));

const username = { claim: 'sub' };
const groups = { claim: 'groups' };
const email = { username: { claim: 'email' } };
const more = { username, extra: [{ key: 'x.io/t', claim: 't' }] };

// The rows are from kubernetes/apiserver plugin/pkg/authenticator/token/oidc/oidc_test.go, and
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-authentication-configuration
describe('claimMappings work as in kube-apiserver:', () => {
  test.each<{ name: string; claims: object; claimMappings: object; user: object }>([
    {
      name: 'a name',
      claims: { sub: 'jane' },
      claimMappings: { username },
      user: { username: 'jane' },
    },
    {
      name: 'a prefix of the name',
      claims: { sub: 'jane' },
      claimMappings: { username: { claim: 'sub', prefix: 'oidc:' } },
      user: { username: 'oidc:jane' },
    },
    {
      name: 'groups in a list',
      claims: { sub: 'a', groups: ['x', 'y'] },
      claimMappings: { username, groups },
      user: { username: 'a', groups: ['x', 'y'] },
    },
    {
      name: 'one group',
      claims: { sub: 'a', groups: 'x' },
      claimMappings: { username, groups },
      user: { username: 'a', groups: ['x'] },
    },
    {
      name: 'a prefix of groups',
      claims: { sub: 'a', roles: ['x'] },
      claimMappings: { username, groups: { claim: 'roles', prefix: 'g:' } },
      user: { username: 'a', groups: ['g:x'] },
    },
    {
      name: 'no groups',
      claims: { sub: 'a' },
      claimMappings: { username, groups },
      user: { username: 'a' },
    },
    {
      name: 'a claim that every object has',
      claims: { sub: 'a' },
      claimMappings: { username, groups: { claim: 'constructor' } },
      user: { username: 'a' },
    },
    {
      name: 'groups of null',
      claims: { sub: 'a', groups: null },
      claimMappings: { username, groups },
      user: { username: 'a' },
    },
    {
      name: 'an empty group',
      claims: { sub: 'a', groups: '' },
      claimMappings: { username, groups: { claim: 'groups', prefix: 'g:' } },
      user: { username: 'a', groups: [] },
    },
    {
      name: 'a uid',
      claims: { sub: 'a', oid: '7' },
      claimMappings: { username, uid: { claim: 'oid' } },
      user: { username: 'a', uid: '7' },
    },
    {
      name: 'a verified address',
      claims: { email: 'a@x', email_verified: true },
      claimMappings: email,
      user: { username: 'a@x' },
    },
    {
      name: 'an address of an issuer that verifies none',
      claims: { email: 'a@x' },
      claimMappings: email,
      user: { username: 'a@x' },
    },
    {
      name: 'a claim with dots',
      claims: { 'https://x/name': 'a' },
      claimMappings: { username: { claim: 'https://x/name' } },
      user: { username: 'a' },
    },
    {
      name: 'a claim that is not mapped',
      claims: { sub: 'a', name: 'b', groups: ['x'] },
      claimMappings: { username },
      user: { username: 'a' },
    },
    {
      name: 'more, a text',
      claims: { sub: 'a', t: 'x' },
      claimMappings: more,
      user: { username: 'a', extra: { 'x.io/t': ['x'] } },
    },
    {
      name: 'more, a list',
      claims: { sub: 'a', t: ['x', ''] },
      claimMappings: more,
      user: { username: 'a', extra: { 'x.io/t': ['x', ''] } },
    },
    {
      name: 'more that is not there',
      claims: { sub: 'a' },
      claimMappings: more,
      user: { username: 'a' },
    },
    {
      name: 'more that is empty',
      claims: { sub: 'a', t: '' },
      claimMappings: more,
      user: { username: 'a' },
    },
    {
      name: 'more that is []',
      claims: { sub: 'a', t: [] },
      claimMappings: more,
      user: { username: 'a' },
    },
  ])('$name', ({ claims, claimMappings, user }) => {
    expect(mapped(claims, claimMappings)).toEqual(user);
  });

  test.each<{ name: string; claims: object; claimMappings: object; problem: string }>([
    {
      name: 'no name',
      claims: {},
      claimMappings: { username },
      problem: 'claim sub is not in the token, which has ',
    },
    {
      name: 'an empty name',
      claims: { sub: '' },
      claimMappings: { username },
      problem: 'claim sub is empty',
    },
    {
      name: 'a number for a name',
      claims: { sub: 7 },
      claimMappings: { username },
      problem: 'claim sub is not a string',
    },
    {
      name: 'a list for a name',
      claims: { sub: ['a'] },
      claimMappings: { username },
      problem: 'claim sub is not a string',
    },
    {
      name: 'a name of every object',
      claims: {},
      claimMappings: { username: { claim: 'constructor' } },
      problem: 'claim constructor is not in the token',
    },
    {
      name: 'an address that is not verified',
      claims: { email: 'a@x', email_verified: false },
      claimMappings: email,
      problem: 'email_verified',
    },
    {
      name: 'null for verified',
      claims: { email: 'a@x', email_verified: null },
      claimMappings: email,
      problem: 'email_verified',
    },
    {
      name: '1 for verified',
      claims: { email: 'a@x', email_verified: 1 },
      claimMappings: email,
      problem: 'email_verified',
    },
    {
      name: 'a list for verified',
      claims: { email: 'a@x', email_verified: [true] },
      claimMappings: email,
      problem: 'email_verified',
    },
    {
      name: '"true" for verified',
      claims: { email: 'a@x', email_verified: 'true' },
      claimMappings: email,
      problem: 'email_verified',
    },
    {
      name: 'numbers for groups',
      claims: { sub: 'a', groups: [1] },
      claimMappings: { username, groups },
      problem: 'claim groups is neither',
    },
    {
      name: 'a map for groups',
      claims: { sub: 'a', groups: { x: 1 } },
      claimMappings: { username, groups },
      problem: 'claim groups is neither',
    },
    {
      name: 'no uid',
      claims: { sub: 'a' },
      claimMappings: { username, uid: { claim: 'oid' } },
      problem: 'claim oid is not in the token, which has sub',
    },
    {
      name: 'a number for a uid',
      claims: { sub: 'a', oid: 7 },
      claimMappings: { username, uid: { claim: 'oid' } },
      problem: 'claim oid is not a string',
    },
    {
      name: 'a number for more',
      claims: { sub: 'a', t: 7 },
      claimMappings: more,
      problem: 'claim t is neither',
    },
  ])('$name is refused', ({ claims, claimMappings, problem }) => {
    expect(mapped(claims, claimMappings)).toEqual({ problem: expect.stringContaining(problem) });
  });
});

describe('a claim that is not in the token', () => {
  const claims = { sub: 'jane', roles: ['secret-role'], email: 'jane@example.com' };

  test('is named with the claims that are there, and none of their values', () => {
    const problem =
      'claim preferred_username is not in the token, which has email, roles, sub: let the issuer correct it, or name another claim in the options';
    expect(mapped(claims, { username: { claim: 'preferred_username' } })).toEqual({ problem });
    const rules = { claimValidationRules: [{ claim: 'hd', requiredValue: 'x' }] };
    expect(mapped(claims, { username }, rules)).toEqual({
      problem:
        'claim hd is not in the token, which has email, roles, sub: let the issuer correct it, or name another claim in the options',
    });
  });

  test('says why there are no groups, where it is mapped to them', () => {
    const why = (claimMappings: object, of: object = claims) =>
      whyNoGroups(of as Record<string, unknown>, issuer({ claimMappings }).mappings);
    expect(why({ username, groups })).toBe(
      'no groups: claim groups is not in the token, which has email, roles, sub: let the issuer correct it, or name another claim in the options',
    );
    // Entra ID leaves out the groups of a user in more than 200.
    const overage = { sub: 'jane', _claim_names: { groups: 'src1' }, _claim_sources: {} };
    expect(mapped(overage, { username, groups })).toEqual({ username: 'jane' });
    expect(why({ username, groups }, overage)).toContain('which has _claim_names, _claim_sources');
    expect(why({ username, groups: { claim: 'roles' } })).toBeUndefined();
    expect(why({ username })).toBeUndefined();
    expect(why({ username, groups }, { sub: 'jane', groups: [] })).toBeUndefined();
  });

  test('is listed with no more of the others than fits on a line', () => {
    const many = Object.fromEntries(
      Array.from({ length: 5_000 }, (_, index) => [`${'c'.repeat(500)}${index}\n`, 1]),
    );
    const { problem } = mapped(many, { username }) as { problem: string };
    expect(problem).toMatch(/ and 4960 more: /);
    expect(problem.length).toBeLessThan(4_000);
    expect(problem).not.toContain('\n');
  });
});

describe('claimValidationRules', () => {
  test.each<{ name: string; claims: object; claimValidationRules: object[]; passes: boolean }>([
    {
      name: 'the required value',
      claims: { sub: 'a', hd: 'x' },
      claimValidationRules: [{ claim: 'hd', requiredValue: 'x' }],
      passes: true,
    },
    {
      name: 'another value',
      claims: { sub: 'a', hd: 'y' },
      claimValidationRules: [{ claim: 'hd', requiredValue: 'x' }],
      passes: false,
    },
    {
      name: 'another case',
      claims: { sub: 'a', hd: 'X' },
      claimValidationRules: [{ claim: 'hd', requiredValue: 'x' }],
      passes: false,
    },
    {
      name: 'no such claim',
      claims: { sub: 'a' },
      claimValidationRules: [{ claim: 'hd', requiredValue: 'x' }],
      passes: false,
    },
    {
      name: 'more before it',
      claims: { sub: 'a', hd: 'a@y@x' },
      claimValidationRules: [{ claim: 'hd', requiredValue: 'a@x' }],
      passes: false,
    },
    {
      name: 'more behind it',
      claims: { sub: 'a', hd: 'a@x@y' },
      claimValidationRules: [{ claim: 'hd', requiredValue: 'a@x' }],
      passes: false,
    },
    {
      name: 'a list with the value',
      claims: { sub: 'a', hd: ['x'] },
      claimValidationRules: [{ claim: 'hd', requiredValue: 'x' }],
      passes: false,
    },
    {
      name: 'a number',
      claims: { sub: 'a', hd: 1 },
      claimValidationRules: [{ claim: 'hd', requiredValue: '1' }],
      passes: false,
    },
    {
      name: 'a required empty text',
      claims: { sub: 'a', hd: '' },
      claimValidationRules: [{ claim: 'hd' }],
      passes: true,
    },
    {
      name: 'no claim in place of an empty text',
      claims: { sub: 'a' },
      claimValidationRules: [{ claim: 'hd' }],
      passes: false,
    },
    {
      name: 'one of two',
      claims: { sub: 'a', a: '1', b: '3' },
      claimValidationRules: [
        { claim: 'a', requiredValue: '1' },
        { claim: 'b', requiredValue: '2' },
      ],
      passes: false,
    },
  ])('$name', ({ claims, claimValidationRules, passes }) => {
    const user = mapped(claims, { username }, { claimValidationRules });
    expect('username' in user).toBe(passes);
  });

  const values = expect.any(String);
  test.each<{ name: string; claims: object; requiredValue: string | boolean; expected: object }>([
    { name: 'true', claims: { a: true }, requiredValue: true, expected: { username: 'jane' } },
    {
      name: 'false',
      claims: { a: true },
      requiredValue: false,
      expected: { problem: 'claim a does not have the required value', values },
    },
    {
      name: 'no such claim',
      claims: {},
      requiredValue: true,
      expected: { problem: expect.stringMatching(/^claim a is not in the token/) },
    },
    {
      name: 'a number',
      claims: { a: 1 },
      requiredValue: true,
      expected: { problem: 'claim a does not have the required value', values },
    },
    {
      name: 'a string',
      claims: { a: 'true' },
      requiredValue: true,
      expected: {
        problem: 'claim a is a string, and its requiredValue is true or false: write it in quotes',
        values,
      },
    },
    {
      name: 'true for a string',
      claims: { a: true },
      requiredValue: 'true',
      expected: {
        problem:
          'claim a is true or false, and its requiredValue is a string: write it without quotes',
        values,
      },
    },
  ])('compare the type: $name', ({ claims, requiredValue, expected }) => {
    const claimValidationRules = [{ claim: 'a', requiredValue }];
    expect(mapped({ sub: 'jane', ...claims }, { username }, { claimValidationRules })).toEqual(
      expected,
    );
  });

  const required = (claims: object, claim: string, requiredValue: string | boolean) => {
    const claimValidationRules = [{ claim, requiredValue }];
    return mapped({ sub: 'jane', ...claims }, { username }, { claimValidationRules });
  };

  test.each<{ claim: unknown; requiredValue?: string | boolean; values: string }>([
    {
      claim: 123456,
      requiredValue: '123456',
      values:
        'it is the number 123456, and the rule has the string "123456": a number never equals a string',
    },
    { claim: 'else', values: 'it is the string "else", and the rule has the string "x"' },
    {
      claim: true,
      requiredValue: false,
      values: 'it is the boolean true, and the rule has the boolean false',
    },
    // The problem says that the types differ.
    {
      claim: true,
      requiredValue: 'true',
      values: 'it is the boolean true, and the rule has the string "true"',
    },
    {
      claim: ['x'],
      values: 'it is the list ["x"], and the rule has the string "x": a list never equals a string',
    },
    {
      claim: null,
      values: 'it is null, and the rule has the string "x": null never equals a string',
    },
    {
      claim: { '\u202e': '\n' },
      values: String.raw`it is the object {" ":"\n"}, and the rule has the string "x": an object never equals a string`,
    },
    {
      claim: 'y'.repeat(200),
      values: `it is the string "${'y'.repeat(99)}…, and the rule has the string "x"`,
    },
  ])(
    'show the value of the claim next to the rule: $values',
    ({ claim, requiredValue = 'x', values }) => {
      expect(required({ a: claim }, 'a', requiredValue)).toMatchObject({
        problem: expect.not.stringContaining('it is '),
        values,
      });
    },
  );

  test.each(['sub', 'email', 'Preferred_Username', 'upn'])(
    'show no value of %s, which can name a person',
    (claim) => {
      expect(required({ [claim]: 'jane' }, claim, 'x')).toMatchObject({
        values:
          'it is a string, which is not shown since it can name a person, and the rule has the string "x"',
      });
    },
  );
});

describe('credentialId', () => {
  const key = 'authentication.kubernetes.io/credential-id';

  test('is the token id, as kube-apiserver writes it, beside what else is mapped', () => {
    expect(mapped({ sub: 'a', jti: '7', t: 'x' }, more, { credentialId: true })).toEqual({
      username: 'a',
      extra: { 'x.io/t': ['x'], [key]: ['JTI=7'] },
    });
  });

  test('is left out where it is not asked for, or there is no token id', () => {
    expect(mapped({ sub: 'a', jti: '7' }, { username })).toEqual({ username: 'a' });
    expect(mapped({ sub: 'a' }, { username }, { credentialId: true })).toEqual({ username: 'a' });
    expect(mapped({ sub: 'a', jti: '' }, { username }, { credentialId: true })).toEqual({
      username: 'a',
    });
  });

  test('a token id that is not a string is refused', () => {
    expect(mapped({ sub: 'a', jti: 7 }, { username }, { credentialId: true })).toHaveProperty(
      'problem',
    );
  });
});

test.each<[object, object | undefined]>([
  [
    { jti: '7', sid: 'one' },
    { jti: '7', sid: 'one' },
  ],
  [{ jti: '7' }, { jti: '7' }],
  [{ sid: 'one' }, { sid: 'one' }],
  [{ jti: 7, sid: 'one' }, { sid: 'one' }],
  [{ jti: 'j'.repeat(16_000) }, { jti: 'j'.repeat(16_000) }],
  [{ jti: '', sid: null }, undefined],
  [{ jti: '\uD800', sid: ['one'] }, undefined],
  [{}, undefined],
])('the ids of %j', (claims, ids) => {
  expect(readCredential(claims as Record<string, unknown>)).toEqual(ids);
});
