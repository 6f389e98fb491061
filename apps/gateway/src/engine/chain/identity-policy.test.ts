import type { Decision, UserInfo } from '@sallyport/authenticator';
import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { IdentityConfig } from '../../config/types.ts';
import {
  identityPolicy,
  identityPrefixes,
  type PolicyLog,
  withIdentityPolicy,
} from './identity-policy.ts';

const context = { audiences: [], signal: new AbortController().signal };

interface Case {
  username?: string;
  groups?: Partial<IdentityConfig['groups']>;
  allowSystemNames?: string[];
  allowCredentialId?: boolean;
  reservedDomain?: string;
  usernames?: string[];
  groupPrefixes?: string[];
}

async function decide(
  user: UserInfo,
  options: Case = {},
): Promise<{ decision: Decision; logged: object[] }> {
  const logged: object[] = [];
  const plugin = {
    authenticate: async (): Promise<Decision> => ({ kind: 'authenticated', user }),
    close: async () => {},
  };
  const identity = {
    name: 'corp',
    username: { prefix: options.username ?? '' },
    groups: { prefix: '', max: 3, ...options.groups },
    allowSystemNames: options.allowSystemNames ?? [],
    allowCredentialId: options.allowCredentialId ?? false,
  };
  const prefixes = { usernames: options.usernames ?? [], groups: options.groupPrefixes ?? [] };
  const log: PolicyLog = (authenticator, subject, violation) =>
    logged.push({ authenticator, subject, ...violation });
  const policy = withIdentityPolicy(plugin, identity, prefixes, log, options.reservedDomain);
  return { decision: await policy.authenticate('t', context), logged };
}

async function passes(user: UserInfo, options: Case, expected: UserInfo): Promise<void> {
  const { decision, logged } = await decide(user, options);
  expect({ decision, logged }).toStrictEqual({
    decision: { kind: 'authenticated', user: expected },
    logged: [],
  });
}

async function breaks(rule: string, user: UserInfo, options: Case = {}): Promise<void> {
  const { decision, logged } = await decide(user, options);
  expect(decision).toStrictEqual({
    kind: 'rejected',
    reason: 'identity-policy',
    subject: user.username,
  });
  expect(logged).toMatchObject([
    { authenticator: 'corp', rule: expect.stringContaining(rule), subject: user.username },
  ]);
}

const jane = { username: 'jane' };
const nothingAllowed = { allowSystemNames: [], allowCredentialId: false };
const member = (...groups: string[]): UserInfo => ({ ...jane, groups });
const withExtra = (...keys: string[]): UserInfo => ({
  ...jane,
  extra: Object.fromEntries(keys.map((key) => [key, ['v']])),
});
const credentialId = 'authentication.kubernetes.io/credential-id';
const systemNames = { allowSystemNames: ['system:masters', 'system:node:*'] };
const provenance = { reservedDomain: 'sallyport.example.com' };

test.each<[string, UserInfo, Case, UserInfo]>([
  [
    'prefixes of names and groups',
    { username: 'jane', uid: '7', groups: ['a', 'b'], extra: { 'example.com/k': ['v'] } },
    {
      username: 'corp:',
      groups: { prefix: 'g:' },
      usernames: ['corp:', ''],
      groupPrefixes: ['g:'],
    },
    { username: 'corp:jane', uid: '7', groups: ['g:a', 'g:b'], extra: { 'example.com/k': ['v'] } },
  ],
  ['a name without prefixes and groups, unchanged', jane, {}, jane],
  [
    'groups that the allow globs match as the backend names them, without the others',
    member('k8s-a', 'ops', 'corp:k8s-b', 'x'),
    { groups: { prefix: 'corp:', allow: ['k8s-*', 'ops'] } },
    member('corp:k8s-a', 'corp:ops'),
  ],
  ['no empty group', member('', 'a'), { groups: { prefix: 'g:' } }, member('g:a')],
  ['no group, with an empty allow list', member('a'), { groups: { allow: [] } }, member()],
  ['groups that repeat, once', member('b', 'a', 'b'), {}, member('b', 'a')],
  [
    'as many groups as may be, counted once each and after the filter',
    member('k1', 'x', 'k2', 'k3', 'k3'),
    { groups: { allow: ['k*'] } },
    member('k1', 'k2', 'k3'),
  ],
  [
    "a prefix and a name that do not make another authenticator's prefix",
    { username: 'c:jane' },
    { username: 'a:', usernames: ['a:', 'a:b:'] },
    { username: 'a:c:jane' },
  ],
  [
    "another authenticator's prefix that is a shorter part of the own one, or equal to it",
    jane,
    { username: 'a:b:', usernames: ['a:', 'a:b:', 'a:b:'] },
    { username: 'a:b:jane' },
  ],
  [
    'a group with a prefix of usernames',
    member('u:x'),
    { usernames: ['u:'], groupPrefixes: [''] },
    member('u:x'),
  ],
  [
    'a name with a prefix of groups',
    { username: 'g:x' },
    { usernames: [''], groupPrefixes: ['g:'] },
    { username: 'g:x' },
  ],
  [
    'a system: group that is listed',
    member('system:masters'),
    systemNames,
    member('system:masters'),
  ],
  [
    'a system: name that is listed',
    { username: 'system:node:a' },
    systemNames,
    { username: 'system:node:a' },
  ],
  [
    'a name that a prefix keeps from being a system: name',
    { username: 'system:admin' },
    { username: 'corp:' },
    { username: 'corp:system:admin' },
  ],
  ...['key', 'example.com/k8s.io', 'mk8s.io/x', 'k8s.io.example.com/x', '__proto__'].map(
    (key): [string, UserInfo, Case, UserInfo] => [
      `the extra key ${key}`,
      withExtra(key),
      {},
      withExtra(key),
    ],
  ),
  [
    'the extra key of the credential, where the config allows it',
    withExtra(credentialId),
    { allowCredentialId: true },
    withExtra(credentialId),
  ],
  [
    'extra keys near the domain of provenance.keyPrefix',
    withExtra('sallyport.example.com.evil/x', 'a.sallyport.example.com/x'),
    provenance,
    withExtra('sallyport.example.com.evil/x', 'a.sallyport.example.com/x'),
  ],
])('Kubernetes gets %s', async (_what, user, options, expected) => {
  await passes(user, options, expected);
});

test.each<[string, string, UserInfo, Case?]>([
  ['an empty name', 'username is empty', { username: '' }],
  ['an empty name behind a prefix', 'username is empty', { username: '' }, { username: 'corp:' }],
  ['more groups than groups.max', '4 groups, over groups.max 3', member('1', '2', '3', '4')],
  [
    "another authenticator's prefix",
    'prefix corp: belongs to another',
    { username: 'corp:root' },
    { usernames: ['', 'corp:'] },
  ],
  [
    "another authenticator's prefix, made of prefix and name",
    'prefix a:b: belongs to another',
    { username: 'b:jane' },
    { username: 'a:', usernames: ['a:', 'a:b:'] },
  ],
  [
    "another authenticator's prefix of groups",
    'prefix g: belongs to another',
    member('x', 'g:admins'),
    { groupPrefixes: ['', 'g:'] },
  ],
  ['a system: name', 'system: name', { username: 'system:admin' }],
  ['a system: group', 'system: name', member('system:masters')],
  ['a system: group that is not listed', 'system: name', member('system:masters2'), systemNames],
  ['a system: name by its prefix', 'system: name', { username: 'admin' }, { username: 'system:' }],
  [
    'a system: name of prefix and name together',
    'system: name',
    { username: 'tem:admin' },
    { username: 'sys' },
  ],
  ...[
    '',
    'Key',
    'example.com/Ä',
    'k8s.io',
    'k8s.io/x',
    'a.k8s.io/x',
    'kubernetes.io/x',
    'authentication.kubernetes.io/pod-name',
  ].map((key): [string, string, UserInfo] => [
    `the extra key "${key}"`,
    'an extra key',
    withExtra('ok', key),
  ]),
  ['the extra key of the credential', 'a domain of Kubernetes', withExtra(credentialId)],
  [
    'an extra key near that of the credential',
    'a domain of Kubernetes',
    withExtra(`${credentialId}s`),
    { allowCredentialId: true },
  ],
  [
    'an extra key in the domain of provenance.keyPrefix',
    'provenance.keyPrefix',
    withExtra('sallyport.example.com/credential'),
    provenance,
  ],
])('%s is refused', async (_what, rule, user, options) => {
  await breaks(rule, user, options);
});

describe('characters', () => {
  const users: readonly (readonly [string, (text: string) => UserInfo])[] = [
    ['the username', (username) => ({ username })],
    ['the uid', (uid) => ({ ...jane, uid })],
    ['a group', (group) => ({ ...jane, groups: ['a', group] })],
    ['an extra key', (key) => ({ ...jane, extra: { a: [], [key]: [] } })],
    ['an extra value', (value) => ({ ...jane, extra: { a: ['b', value] } })],
  ];
  const rule = 'has a control character, a line end or a mark that turns the direction of writing';
  const controls = Array.from({ length: 32 }, (_, code) => code).concat(
    Array.from({ length: 33 }, (_, at) => 0x7f + at),
  );
  const marks = [
    0x2028, 0x2029, 0x61c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067,
    0x2068, 0x2069,
  ];
  const refused = [...controls, ...marks].map((code) => String.fromCodePoint(code));

  test.each(users)(
    'of %s: none that ends a line, moves a cursor or turns the writing',
    async (what, user) => {
      for (const character of [...refused, '\ud800', '\udfff'])
        await breaks(`${what} ${rule}`, user(`a${character}b`));
    },
  );

  test('are named in the log so that they can be read there, and those of a value not at all', async () => {
    const named = async (user: UserInfo) =>
      (await decide(user)).logged.map((fields) => Reflect.get(fields, 'name'));
    expect(await named({ username: 'ada\nroot' })).toEqual([String.raw`ada\u{a}root`]);
    expect(await named({ ...jane, extra: { phone: ['1\r'] } })).toEqual(['phone']);
  });

  test('of a group that groups.allow leaves out do not count', async () => {
    await passes(
      { ...jane, groups: ['a', 'b\n'] },
      { groups: { allow: ['a'] } },
      { ...jane, groups: ['a'] },
    );
  });

  test.each(['zoë', '管理', '👩‍💻', 'علی‌رضا', 'a b', "o'neil", 'ﬁ', '\u00ad'])(
    'of %j pass',
    async (text) => {
      for (const [, user] of users) await passes(user(text), {}, user(text));
    },
  );

  test('of whatever passes are none of these', async () => {
    const text = fc.string({
      unit: fc.oneof(
        fc.constantFrom(...refused),
        fc.string({ unit: anyCharacter, minLength: 1, maxLength: 1 }),
      ),
    });
    const user = fc.record({
      username: text,
      uid: text,
      groups: fc.array(text),
      extra: fc.dictionary(text, fc.array(text)),
    });
    await fc.assert(
      fc.asyncProperty(user, async (given) => {
        const { decision } = await decide(given, { groups: { max: 100 } });
        const texts = [
          given.username,
          given.uid,
          ...given.groups,
          ...Object.entries(given.extra).flat(2),
        ];
        const isRefused = texts.some(
          (one) => !one.isWellFormed() || refused.some((character) => one.includes(character)),
        );
        if (isRefused) expect(decision.kind).toBe('rejected');
      }),
    );
  });
});

test('other decisions pass as they are', async () => {
  for (const decision of [
    { kind: 'no-opinion' },
    { kind: 'rejected', reason: 'locked', subject: 'system:x' },
  ] as const) {
    const plugin = { authenticate: async () => decision, close: async () => {} };
    const identity = {
      name: 'corp',
      username: { prefix: 'p:' },
      groups: { prefix: '', max: 1 },
      ...nothingAllowed,
    };
    const policy = withIdentityPolicy(plugin, identity, { usernames: [], groups: [] }, () => {});
    expect(await policy.authenticate('t', context)).toBe(decision);
  }
});

test('a user who is refused has final names too', () => {
  const identity = {
    username: { prefix: 'p:' },
    groups: { prefix: 'g:', max: 1, allow: ['a'] },
    ...nothingAllowed,
  };
  const other = { ...identity, username: { prefix: 'p:q:' } };
  const policy = identityPolicy(identity, identityPrefixes([identity, other]));
  expect(policy({ username: 'jane', groups: ['a', 'b'] })).toStrictEqual({
    user: { username: 'p:jane', groups: ['g:a'] },
  });
  expect(policy({ username: 'q:x' })).toStrictEqual({
    user: { username: 'p:q:x' },
    violation: { rule: 'the prefix p:q: belongs to another authenticator', name: 'p:q:x' },
  });
});
