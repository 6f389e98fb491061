import { describe, expect, test } from 'vitest';
import { credentialOf, userOf, whyNoGroups } from './claims.ts';
import { settled, writtenOptions } from './testing/written-options.ts';

/** Returns the options of the only issuer, with these keys. */
const issuer = (changed: object) => {
  const [one] = settled(writtenOptions(changed)).issuers;
  if (one === undefined) throw new Error('there is no issuer');
  return one;
};

const mapped = (claims: object, claimMappings: object, more: object = {}) =>
  userOf(claims as Record<string, unknown>, issuer({ claimMappings, ...more }));

const username = { claim: 'sub' };
const groups = { claim: 'groups' };
const email = { username: { claim: 'email' } };
const more = { username, extra: [{ key: 'x.io/t', claim: 't' }] };

// The rows are from kubernetes/apiserver plugin/pkg/authenticator/token/oidc/oidc_test.go, and
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-authentication-configuration
describe('claimMappings, as in kube-apiserver', () => {
  test.each<[string, object, object, object]>([
    ['a name', { sub: 'jane' }, { username }, { username: 'jane' }],
    [
      'a prefix of the name',
      { sub: 'jane' },
      { username: { claim: 'sub', prefix: 'oidc:' } },
      { username: 'oidc:jane' },
    ],
    [
      'groups in a list',
      { sub: 'a', groups: ['x', 'y'] },
      { username, groups },
      { username: 'a', groups: ['x', 'y'] },
    ],
    [
      'one group',
      { sub: 'a', groups: 'x' },
      { username, groups },
      { username: 'a', groups: ['x'] },
    ],
    [
      'a prefix of groups',
      { sub: 'a', roles: ['x'] },
      { username, groups: { claim: 'roles', prefix: 'g:' } },
      { username: 'a', groups: ['g:x'] },
    ],
    ['no groups', { sub: 'a' }, { username, groups }, { username: 'a' }],
    [
      'a claim that every object has',
      { sub: 'a' },
      { username, groups: { claim: 'constructor' } },
      { username: 'a' },
    ],
    ['groups of null', { sub: 'a', groups: null }, { username, groups }, { username: 'a' }],
    [
      'an empty group',
      { sub: 'a', groups: '' },
      { username, groups: { claim: 'groups', prefix: 'g:' } },
      { username: 'a', groups: [] },
    ],
    [
      'a uid',
      { sub: 'a', oid: '7' },
      { username, uid: { claim: 'oid' } },
      { username: 'a', uid: '7' },
    ],
    ['a verified address', { email: 'a@x', email_verified: true }, email, { username: 'a@x' }],
    ['an address of an issuer that verifies none', { email: 'a@x' }, email, { username: 'a@x' }],
    [
      'a claim with dots',
      { 'https://x/name': 'a' },
      { username: { claim: 'https://x/name' } },
      { username: 'a' },
    ],
    [
      'a claim that is not mapped',
      { sub: 'a', name: 'b', groups: ['x'] },
      { username },
      { username: 'a' },
    ],
    ['more, a text', { sub: 'a', t: 'x' }, more, { username: 'a', extra: { 'x.io/t': ['x'] } }],
    [
      'more, a list',
      { sub: 'a', t: ['x', ''] },
      more,
      { username: 'a', extra: { 'x.io/t': ['x', ''] } },
    ],
    ['more that is not there', { sub: 'a' }, more, { username: 'a' }],
    ['more that is empty', { sub: 'a', t: '' }, more, { username: 'a' }],
    ['more that is []', { sub: 'a', t: [] }, more, { username: 'a' }],
  ])('%s', (_name, claims, claimMappings, user) => {
    expect(mapped(claims, claimMappings)).toEqual(user);
  });

  test.each<[string, object, object, string]>([
    ['no name', {}, { username }, 'claim sub is not in the token, which has '],
    ['an empty name', { sub: '' }, { username }, 'claim sub is not a string'],
    ['a number for a name', { sub: 7 }, { username }, 'claim sub is not a string'],
    ['a list for a name', { sub: ['a'] }, { username }, 'claim sub is not a string'],
    [
      'a name of every object',
      {},
      { username: { claim: 'constructor' } },
      'claim constructor is not in the token',
    ],
    [
      'an address that is not verified',
      { email: 'a@x', email_verified: false },
      email,
      'email_verified',
    ],
    ['null for verified', { email: 'a@x', email_verified: null }, email, 'email_verified'],
    ['1 for verified', { email: 'a@x', email_verified: 1 }, email, 'email_verified'],
    ['a list for verified', { email: 'a@x', email_verified: [true] }, email, 'email_verified'],
    ['"true" for verified', { email: 'a@x', email_verified: 'true' }, email, 'email_verified'],
    [
      'numbers for groups',
      { sub: 'a', groups: [1] },
      { username, groups },
      'claim groups is neither',
    ],
    [
      'a map for groups',
      { sub: 'a', groups: { x: 1 } },
      { username, groups },
      'claim groups is neither',
    ],
    [
      'no uid',
      { sub: 'a' },
      { username, uid: { claim: 'oid' } },
      'claim oid is not in the token, which has sub',
    ],
    [
      'a number for a uid',
      { sub: 'a', oid: 7 },
      { username, uid: { claim: 'oid' } },
      'claim oid is not a string',
    ],
    ['a number for more', { sub: 'a', t: 7 }, more, 'claim t is neither'],
  ])('%s is refused', (_name, claims, claimMappings, problem) => {
    expect(mapped(claims, claimMappings)).toEqual({ problem: expect.stringContaining(problem) });
  });
});

describe('a claim that is not in the token', () => {
  const claims = { sub: 'jane', roles: ['secret-role'], email: 'jane@example.com' };

  test('is named with the claims that are there, and none of their values', () => {
    const problem = 'claim preferred_username is not in the token, which has email, roles, sub';
    expect(mapped(claims, { username: { claim: 'preferred_username' } })).toEqual({ problem });
    const rules = { claimValidationRules: [{ claim: 'hd', requiredValue: 'x' }] };
    expect(mapped(claims, { username }, rules)).toEqual({
      problem: 'claim hd is not in the token, which has email, roles, sub',
    });
  });

  test('says why there are no groups, where it is mapped to them', () => {
    const why = (claimMappings: object, of: object = claims) =>
      whyNoGroups(of as Record<string, unknown>, issuer({ claimMappings }).mappings);
    expect(why({ username, groups })).toBe(
      'no groups: claim groups is not in the token, which has email, roles, sub',
    );
    expect(why({ username, groups: { claim: 'roles' } })).toBeUndefined();
    expect(why({ username })).toBeUndefined();
    expect(why({ username, groups }, { sub: 'jane', groups: [] })).toBeUndefined();
  });

  test('is listed with no more of the others than fits on a line', () => {
    const many = Object.fromEntries(
      Array.from({ length: 5_000 }, (_, index) => [`${'c'.repeat(500)}${index}\n`, 1]),
    );
    const { problem } = mapped(many, { username }) as { problem: string };
    expect(problem).toMatch(/ and 4960 more$/);
    expect(problem.length).toBeLessThan(4_000);
    expect(problem).not.toContain('\n');
  });
});

describe('claimValidationRules', () => {
  test.each<[string, object, object[], boolean]>([
    ['the required value', { sub: 'a', hd: 'x' }, [{ claim: 'hd', requiredValue: 'x' }], true],
    ['another value', { sub: 'a', hd: 'y' }, [{ claim: 'hd', requiredValue: 'x' }], false],
    ['another case', { sub: 'a', hd: 'X' }, [{ claim: 'hd', requiredValue: 'x' }], false],
    ['no such claim', { sub: 'a' }, [{ claim: 'hd', requiredValue: 'x' }], false],
    ['more before it', { sub: 'a', hd: 'a@y@x' }, [{ claim: 'hd', requiredValue: 'a@x' }], false],
    ['more behind it', { sub: 'a', hd: 'a@x@y' }, [{ claim: 'hd', requiredValue: 'a@x' }], false],
    [
      'a list with the value',
      { sub: 'a', hd: ['x'] },
      [{ claim: 'hd', requiredValue: 'x' }],
      false,
    ],
    ['a number', { sub: 'a', hd: 1 }, [{ claim: 'hd', requiredValue: '1' }], false],
    ['a required empty text', { sub: 'a', hd: '' }, [{ claim: 'hd' }], true],
    ['no claim in place of an empty text', { sub: 'a' }, [{ claim: 'hd' }], false],
    [
      'one of two',
      { sub: 'a', a: '1', b: '3' },
      [
        { claim: 'a', requiredValue: '1' },
        { claim: 'b', requiredValue: '2' },
      ],
      false,
    ],
  ])('%s', (_name, claims, claimValidationRules, passes) => {
    const user = mapped(claims, { username }, { claimValidationRules });
    expect('username' in user).toBe(passes);
  });

  test.each<[string, object, string | boolean, object]>([
    ['true', { a: true }, true, { username: 'jane' }],
    ['false', { a: true }, false, { problem: 'claim a does not have the required value' }],
    ['no such claim', {}, true, { problem: expect.stringMatching(/^claim a is not in the token/) }],
    ['a number', { a: 1 }, true, { problem: 'claim a does not have the required value' }],
    [
      'a string',
      { a: 'true' },
      true,
      {
        problem: 'claim a is a string, and its requiredValue is true or false: write it in quotes',
      },
    ],
    [
      'true for a string',
      { a: true },
      'true',
      {
        problem:
          'claim a is true or false, and its requiredValue is a string: write it without quotes',
      },
    ],
  ])('compare the type: %s', (_name, claims, requiredValue, expected) => {
    const claimValidationRules = [{ claim: 'a', requiredValue }];
    expect(mapped({ sub: 'jane', ...claims }, { username }, { claimValidationRules })).toEqual(
      expected,
    );
  });
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
  expect(credentialOf(claims as Record<string, unknown>)).toEqual(ids);
});
