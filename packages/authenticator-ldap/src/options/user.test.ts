import { describe, expect, test } from 'vitest';
import type { FilterTemplate } from '../filter/filter-template.ts';
import { complaints, settled, writtenOptions } from './testing/written-options.ts';

const base = 'ou=people,dc=example,dc=com';
const user = (keys: Record<string, unknown>) => writtenOptions({ user: keys });
const alice = (filter: FilterTemplate) =>
  filter.fill((name) => (name === 'username' ? ['alice'] : []));
const equality = (attribute: string, value: string) => ({
  kind: 'equality',
  attribute,
  value: Buffer.from(value),
});

function searchOf(keys: Record<string, unknown>) {
  const { find } = settled(user(keys)).user;
  if (find.by !== 'search') throw new Error('no search');
  return find;
}

describe('a user', () => {
  test('has a password policy, which must be a DN', () => {
    const dn = 'cn=default,ou=policies,dc=example,dc=com';
    for (const found of [
      { base, filter: '(uid={username})' },
      { dnTemplate: `uid={username},${base}` },
    ])
      expect(settled(user({ ...found, passwordPolicy: dn })).user.passwordPolicy).toBe(dn);
    for (const passwordPolicy of ['default', '', 7])
      expect(complaints(user({ base, filter: '(uid={username})', passwordPolicy }))).toEqual([
        expect.stringContaining('passwordPolicy'),
      ]);
  });

  test('is searched for below one base or several, at any depth', () => {
    const find = searchOf({ base, filter: '(uid={username})' });
    expect(find).toMatchObject({ bases: [base], scope: 'sub' });
    expect(alice(find.filter)).toEqual(equality('uid', 'alice'));
    const bases = ['ou=a,dc=x', 'ou=b,dc=x'];
    expect(searchOf({ base: bases, scope: 'one', filter: '(uid={username})' })).toMatchObject({
      bases,
      scope: 'one',
    });
  });

  test('is found by any login attribute, and by the filter as well', () => {
    expect(alice(searchOf({ base, loginAttributes: ['uid'] }).filter)).toEqual(
      equality('uid', 'alice'),
    );
    const logins = {
      kind: 'or',
      filters: [equality('sAMAccountName', 'alice'), equality('userPrincipalName', 'alice')],
    };
    const loginAttributes = ['sAMAccountName', 'userPrincipalName'];
    expect(alice(searchOf({ base, loginAttributes }).filter)).toEqual(logins);
    expect(
      alice(searchOf({ base, loginAttributes, filter: ' (objectClass=user)\n' }).filter),
    ).toEqual({
      kind: 'and',
      filters: [equality('objectClass', 'user'), logins],
    });
  });

  test('of another authenticator has a filter of their own, which compares {username} by equality', () => {
    const find = (lookUpFilter: string) =>
      searchOf({ base, loginAttributes: ['uid'], lookUpFilter }).lookUpFilter;
    expect(searchOf({ base, filter: '(uid={username})' })).not.toHaveProperty('lookUpFilter');
    const byMail = find('(mail={username})');
    expect(byMail && alice(byMail)).toEqual(equality('mail', 'alice'));
    for (const filter of [
      '(mail={username}@x)',
      '(&(|(mail={username})(uid={username}))(!(ou=x*)))',
    ])
      expect(find(filter)).toBeDefined();
    const problem =
      'must compare {username} by equality, not in a (!…), next to a *, or by a matching rule';
    for (const filter of [
      '(mail=*)',
      '(mail={username}*)',
      '(mail~={username})',
      '(uidNumber>={username})',
      '(mail:caseIgnoreMatch:={username})',
      '(&(mail={username})(!(uid={username})))',
      '(|(mail={username})(cn=*{username}*))',
    ]) {
      const keys = { base, filter: '(uid={username})', lookUpFilter: filter };
      expect([filter, complaints(user(keys))]).toEqual([
        filter,
        [`user.lookUpFilter: ${problem}: write "(mail={username})"`],
      ]);
    }
  });

  test('is the entry that a DN template names', () => {
    const { find } = settled(
      user({ dnTemplate: 'uid={username},ou=people,dc=example,dc=com' }),
    ).user;
    expect(find).toMatchObject({ by: 'dn', template: { parent: base } });
    expect(find.by === 'dn' && find.template.fill('a,b')).toBe(`uid=a\\,b,${base}`);
  });

  test('unknown to the directory is no-opinion, or rejected if the options say so', () => {
    expect(settled(writtenOptions()).user.unknown).toBe('no-opinion');
    expect(
      settled(user({ base, filter: '(uid={username})', unknown: 'rejected' })).user.unknown,
    ).toBe('rejected');
  });

  test.each<{ name: string; keys: unknown; expected: string[] }>([
    {
      name: 'nothing',
      keys: undefined,
      expected: [
        'user: must be keys and values: write { base: "ou=people,dc=example,dc=com", filter: "(uid={username})" }',
      ],
    },
    {
      name: 'no way to find one',
      keys: {},
      expected: [
        'user.base: must be the DN to search below: write "ou=people,dc=example,dc=com", or give dnTemplate',
        'user.filter: must say how a user is found: write "(uid={username})", or give loginAttributes',
      ],
    },
    {
      name: 'a filter that finds every user',
      keys: { base, filter: '(objectClass=person)' },
      expected: [
        'user.filter: must contain {username}, else it finds every user: write "(&(objectClass=person)(uid={username}))"',
      ],
    },
    {
      name: 'a filter with the DN of a user where names are',
      keys: { base, filter: '(memberUid={dn})' },
      expected: ['user.filter: memberUid has usernames, and no DNs: write (memberUid={username})'],
    },
    {
      name: 'a filter with a placeholder in quotes',
      keys: { base, filter: "(uid='{username}')" },
      expected: [
        "user.filter: '{username}' has quotes, which would be a part of the value: write {username}",
      ],
    },
    {
      name: 'a filter with another placeholder',
      keys: { base, filter: '(|(uid={username})(cn={dn}))' },
      expected: [
        'user.filter: column 23: {dn} is not allowed here: the filter of a user has {username} only',
      ],
    },
    {
      name: 'both ways to find one',
      keys: {
        base,
        scope: 'sub',
        filter: '(uid={username})',
        loginAttributes: ['uid'],
        lookUpFilter: '(mail={username})',
        dnTemplate: 'uid={username},dc=x',
      },
      expected: ['base', 'scope', 'filter', 'loginAttributes', 'lookUpFilter'].map(
        (key) => `user.${key}: can't be used together with dnTemplate: remove one of the two`,
      ),
    },
    {
      name: 'a DN template without its parent',
      keys: { dnTemplate: 'uid={username}' },
      expected: [
        'user.dnTemplate: column 15: no DN of a parent: write it as in uid={username},ou=people,dc=example,dc=com',
      ],
    },
    {
      name: 'another scope',
      keys: { base, scope: 'base', filter: '(uid={username})' },
      expected: ['user.scope: must be sub or one'],
    },
    {
      name: 'another word for unknown',
      keys: { base, filter: '(uid={username})', unknown: 'x' },
      expected: ['user.unknown: must be no-opinion or rejected'],
    },
    {
      name: 'login attributes that are none',
      keys: { base, loginAttributes: [] },
      expected: [
        'user.loginAttributes: must have 1 to 8 entries: write [sAMAccountName, userPrincipalName]',
      ],
    },
    {
      name: 'a login attribute that would change the filter',
      keys: { base, loginAttributes: ['uid', 'uid)(x'] },
      expected: [
        'user.loginAttributes.1: "uid)(x" is not the name of an attribute: it has letters, digits and dashes; write sAMAccountName',
      ],
    },
    {
      name: 'an unknown key',
      keys: { base, filter: '(uid={username})', bases: [] },
      expected: [
        'user: has an unknown key: bases; known here: base, scope, filter, loginAttributes, lookUpFilter, dnTemplate, attributes, passwordPolicy, unknown',
      ],
    },
  ])('with $name is refused', ({ keys, expected }) => {
    expect(complaints(writtenOptions({ user: keys }))).toEqual(expected);
  });
});

describe('the bases', () => {
  const filter = '(uid={username})';

  test.each<[unknown, string, string[]]>([
    [
      'example.com',
      'sub',
      ['user.base: "example.com" is not a DN: write ou=people,dc=example,dc=com'],
    ],
    [[], 'sub', ['user.base: must not be empty: write one or a list']],
    [
      ['dc=x', 7, 'y'],
      'sub',
      [
        'user.base.1: must be a string: write ou=people,dc=example,dc=com',
        'user.base.2: "y" is not a DN: write ou=people,dc=example,dc=com',
      ],
    ],
    [
      Array.from({ length: 17 }, (_, index) => `dc=x${index}`),
      'sub',
      ['user.base: has 17 entries: write at most 16'],
    ],
  ])('%j with scope %s are refused', (bases, scope, expected) => {
    expect(complaints(user({ base: bases, scope, filter }))).toEqual(expected);
  });

  test.each(['one', 'sub'])(
    'may lie below one another with scope %s, since an entry that is found twice counts once',
    (scope) => {
      expect(complaints(user({ base: ['dc=x', 'ou=a,dc=x'], scope, filter }))).toEqual([]);
    },
  );
});
