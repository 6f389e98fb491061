import { describe, expect, test } from 'vitest';
import { complaints, settled, writtenOptions } from './testing/written-options.ts';

const base = 'ou=groups,dc=example,dc=com';
const groupsOf = (keys: unknown) => settled(writtenOptions({ groups: keys })).groups;

describe('groups', () => {
  test('are none unless options say more', () => {
    expect(settled(writtenOptions())).not.toHaveProperty('groups');
  });

  test('are searched for', () => {
    const groups = groupsOf({
      base,
      filter: '(|(member={dn})(memberUid={username})(gidNumber={attribute:gidNumber}))',
    });
    expect(groups).toMatchObject({
      by: 'search',
      bases: [base],
      scope: 'sub',
      maxDepth: 10,
      maxGroups: 1000,
    });
    expect(groups).not.toHaveProperty('nested');
    expect(groups?.name.attributes).toEqual(['cn']);
    expect([...(groups?.by === 'search' ? groups.filter.placeholders : [])]).toEqual([
      'dn',
      'username',
      'attribute:gidNumber',
    ]);
    expect(
      groupsOf({
        base: [base, 'dc=x'],
        scope: 'one',
        filter: '(member={dn})',
        nested: true,
        name: '{cn}@{o}',
        maxDepth: 3,
        maxGroups: 5,
      }),
    ).toMatchObject({
      bases: [base, 'dc=x'],
      scope: 'one',
      nested: { scope: 'one', filter: { placeholders: new Set(['dn']) } },
      name: { attributes: ['cn', 'o'] },
      maxDepth: 3,
      maxGroups: 5,
    });
  });

  test('are read from an attribute of the user, and nested ones searched for', () => {
    expect(groupsOf({ attribute: 'memberOf' })).toMatchObject({
      by: 'attribute',
      attribute: 'memberOf',
      bases: [],
    });
    expect(groupsOf({ attribute: 'memberOf', base })).toMatchObject({ bases: [base] });
    expect(groupsOf({ attribute: 'memberOf' })).not.toHaveProperty('nested');
    expect(
      groupsOf({ attribute: 'memberOf', base, nested: true, filter: '(member={dn})' }),
    ).toMatchObject({
      by: 'attribute',
      bases: [base],
      nested: { scope: 'sub', filter: { placeholders: new Set(['dn']) } },
    });
    expect(
      groupsOf({
        attribute: 'memberOf',
        base,
        nested: true,
        scope: 'one',
        filter: '(member={dn})',
        maxDepth: 2,
      }),
    ).toMatchObject({
      nested: { scope: 'one' },
      maxDepth: 2,
    });
  });

  const idle =
    'has no effect together with attribute, unless nested: true is set: write that, or remove it';

  test.each<{ keys: unknown; expected: string[] }>([
    {
      keys: {},
      expected: [
        'groups.base: must be the DN to search below: write "ou=groups,dc=example,dc=com", or give attribute: memberOf',
        'groups.filter: must say how groups are found: write "(member={dn})", or give attribute: memberOf',
      ],
    },
    {
      keys: 'memberOf',
      expected: [
        'groups: must be keys and values: write { base: "ou=groups,dc=example,dc=com", filter: "(member={dn})" }',
      ],
    },
    {
      keys: { base, filter: '(objectClass=group)' },
      expected: [
        'groups.filter: must contain {dn}, {username} or {attribute:NAME}, else it finds all groups: write "(&(objectClass=groupOfNames)(member={dn}))"',
      ],
    },
    {
      keys: { base, filter: '(member={user})' },
      expected: [
        'groups.filter: column 9: {user} is not allowed here: the filter of groups has {dn}, {username} and {attribute:NAME}',
      ],
    },
    {
      keys: { base, filter: '(member={dn})', maxGroups: 1.5 },
      expected: ['groups.maxGroups: must be a whole number from 1 to 100000'],
    },
    {
      keys: { base, filter: '(member={dn})', name: 'a b' },
      expected: [
        'groups.name: column 1: "a b" is not an attribute: write cn, or a string with attributes in braces, such as team:{cn}',
      ],
    },
    {
      keys: { base, filter: '(memberUid={username})', nested: true },
      expected: [
        'groups.filter: must contain {dn} to find groups of groups: write "(member={dn})", or remove nested',
      ],
    },
    {
      keys: { base, filter: '(member={dn})', maxDepth: 3 },
      expected: [
        'groups.maxDepth: has no effect without nested: true: write that, or remove maxDepth',
      ],
    },
    {
      keys: { base, filter: '(member={dn})', nested: true, maxDepth: 0 },
      expected: ['groups.maxDepth: must be a whole number from 1 to 100'],
    },
    {
      keys: { attribute: 'member of' },
      expected: [
        'groups.attribute: "member of" is not the name of an attribute: it has letters, digits and dashes; write memberOf',
      ],
    },
    {
      keys: { attribute: 'memberOf', filter: '(member={dn})', scope: 'one' },
      expected: [`groups.filter: ${idle}`, `groups.scope: ${idle}`],
    },
    {
      keys: { attribute: 'memberOf', nested: true },
      expected: [
        'groups.base: must be the DN to search below for groups of groups: write "ou=groups,dc=example,dc=com"',
        'groups.filter: must say how groups of groups are found: write "(member={dn})", or remove nested',
      ],
    },
    {
      keys: {
        attribute: 'memberOf',
        base,
        nested: true,
        filter: '(|(member={dn})(memberUid={username}))',
      },
      expected: [
        'groups.filter: {username} has no value here: together with attribute the filter finds groups of groups, by {dn} only',
      ],
    },
    {
      keys: { attribute: 'memberOf', base, nested: true, filter: '(objectClass=group)' },
      expected: [
        'groups.filter: must contain {dn} to find groups of groups: write "(member={dn})", or remove nested',
      ],
    },
    {
      keys: { attribute: 'memberOf', from: 'x' },
      expected: [
        'groups: has an unknown key: from; known here: base, scope, filter, attribute, nested, name, maxDepth, maxGroups',
      ],
    },
  ])('as $keys are refused', ({ keys, expected }) => {
    expect(complaints(writtenOptions({ groups: keys }))).toEqual(expected);
  });
});
