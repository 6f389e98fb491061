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

  test.each<[unknown, string[]]>([
    [
      { username: 'uid)(x' },
      [
        'user.attributes.username: "uid)(x" is not the name of an attribute: it has letters, digits and dashes; write uid',
      ],
    ],
    [
      { uid: '1.1' },
      [
        'user.attributes.uid: "1.1" is not the name of an attribute: it has letters, digits and dashes; write entryUUID',
      ],
    ],
    [
      { email: '*' },
      [
        'user.attributes.email: "*" is not the name of an attribute: it has letters, digits and dashes; write mail',
      ],
    ],
    [
      { extra: { a: 'b c' } },
      [
        'user.attributes.extra.a: "b c" is not the name of an attribute: it has letters, digits and dashes; write departmentNumber',
      ],
    ],
    [
      { extra: ['a'] },
      [
        'user.attributes.extra: must be keys with attributes: write { example.com/department: departmentNumber }',
      ],
    ],
    [{ extra: { Team: 'ou' } }, ['user.attributes.extra.Team: must be lowercase: write team']],
    [
      { extra: { '': 'ou' } },
      [
        'user.attributes.extra.: is an empty key: write a lowercase one with a domain, such as example.com/department',
      ],
    ],
    [
      {
        extra: {
          'authentication.k8s.io/x': 'ou',
          'kubernetes.io': 'ou',
          'k8s.io.example.com/x': 'ou',
          'notk8s.io/x': 'ou',
        },
      },
      ['authentication.k8s.io/x', 'kubernetes.io'].map(
        (key) =>
          `user.attributes.extra.${key}: is in a domain of Kubernetes: write a key of your own, such as example.com/department`,
      ),
    ],
    [
      { email: 'mail', extra: { email: 'mail' } },
      ['user.attributes.extra.email: is taken by the attribute under email: remove one of the two'],
    ],
    [
      { name: 'cn' },
      ['user.attributes: has an unknown key: name; known here: username, uid, email, extra'],
    ],
    ['uid', ['user.attributes: must be keys and values: write { username: uid, uid: entryUUID }']],
  ])('%j are refused', (keys, expected) => {
    expect(complaints(attributes(keys))).toEqual(expected);
  });

  test('leave the extra key email free when no attribute is sent as email', () => {
    expect(complaints(attributes({ extra: { email: 'mail' } }))).toEqual([]);
  });
});
