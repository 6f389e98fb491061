import { describe, expect, test } from 'vitest';
import { complaints, settled, writtenOptions } from './testing/written-options.ts';

const base = 'ou=people,dc=example,dc=com';

describe('attributes of a user', () => {
  const attributes = (keys: unknown) =>
    writtenOptions({ user: { base, filter: '(uid={username})', attributes: keys } });

  test('are uid for the name, and nothing else, unless options say more', () => {
    expect(settled(writtenOptions()).user.attributes).toEqual({ username: 'uid', extra: {} });
    const all = {
      username: 'sAMAccountName',
      uid: 'objectGUID',
      email: 'mail',
      extra: { 'example.com/team': '2.5.4.11', sid: 'objectSid;binary' },
    };
    expect(settled(attributes(all)).user.attributes).toEqual(all);
  });

  test.each<{ keys: unknown; expected: string[] }>([
    {
      keys: { username: 'uid)(x' },
      expected: [
        'user.attributes.username: "uid)(x" is not the name of an attribute: it has letters, digits and dashes; write uid',
      ],
    },
    {
      keys: { uid: '1.1' },
      expected: [
        'user.attributes.uid: "1.1" is not the name of an attribute: it has letters, digits and dashes; write entryUUID',
      ],
    },
    {
      keys: { email: '*' },
      expected: [
        'user.attributes.email: "*" is not the name of an attribute: it has letters, digits and dashes; write mail',
      ],
    },
    {
      keys: { extra: { a: 'b c' } },
      expected: [
        'user.attributes.extra.a: "b c" is not the name of an attribute: it has letters, digits and dashes; write departmentNumber',
      ],
    },
    {
      keys: { extra: ['a'] },
      expected: [
        'user.attributes.extra: must be keys with attributes: write { example.com/department: departmentNumber }',
      ],
    },
    {
      keys: { extra: { Team: 'ou' } },
      expected: ['user.attributes.extra.Team: must be lowercase: write team'],
    },
    {
      keys: { extra: { '': 'ou' } },
      expected: [
        'user.attributes.extra.: is an empty key: write a lowercase one with a domain, such as example.com/department',
      ],
    },
    {
      keys: {
        extra: {
          'authentication.k8s.io/x': 'ou',
          'kubernetes.io': 'ou',
          'k8s.io.example.com/x': 'ou',
          'notk8s.io/x': 'ou',
        },
      },
      expected: ['authentication.k8s.io/x', 'kubernetes.io'].map(
        (key) =>
          `user.attributes.extra.${key}: is in a domain of Kubernetes: write a key of your own, such as example.com/department`,
      ),
    },
    {
      keys: { email: 'mail', extra: { email: 'mail' } },
      expected: [
        'user.attributes.extra.email: is taken by the attribute under email: remove one of the two',
      ],
    },
    {
      keys: { name: 'cn' },
      expected: [
        'user.attributes: has an unknown key: name; known here: username, uid, email, extra',
      ],
    },
    {
      keys: 'uid',
      expected: [
        'user.attributes: must be keys and values: write { username: uid, uid: entryUUID }',
      ],
    },
  ])('$keys are refused', ({ keys, expected }) => {
    expect(complaints(attributes(keys))).toEqual(expected);
  });

  test('leave the extra key email free when no attribute is sent as email', () => {
    expect(complaints(attributes({ extra: { email: 'mail' } }))).toEqual([]);
  });
});
