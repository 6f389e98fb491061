import type { UserInfo } from '@sallyport/authenticator';
import { expect, test } from 'vitest';
import type { CreatedAuthenticator } from '../../runtime/authenticators.ts';
import { wholeDetail } from '../finding.ts';
import { checkKnownUsers } from './check-known-users.ts';

interface Setup {
  readonly username?: string;
  readonly groups?: string;
  readonly allowSystemNames?: readonly string[];
  readonly allowCredentialId?: boolean;
  /** The value of `login.authenticators`. */
  readonly login?: readonly string[];
}

function findings(
  users: readonly UserInfo[],
  { username = '', groups = '', login, ...more }: Setup = {},
): readonly string[] {
  const config = {
    name: 'corp',
    username: { prefix: username },
    groups: { prefix: groups, max: 1000 },
    allowSystemNames: [],
    allowCredentialId: false,
    withhold: (words: string) => words.replace('secret', 'withheld'),
    ...more,
  };
  const created = {
    config,
    authenticator: { knownUsers: () => users },
  } as unknown as CreatedAuthenticator;
  const all = {
    ...(login && { login: { authenticators: login } }),
    authenticators: [config],
    provenance: { keyPrefix: 'sallyport.example.com' },
  };
  const found = checkKnownUsers(created, all as unknown as Parameters<typeof checkKnownUsers>[1]);
  return found.map((one) => `${one.result}: ${wholeDetail(one)}`);
}

const credentialId = 'authentication.kubernetes.io/credential-id';
const withKey = (key: string): UserInfo => ({ username: '<sub>', extra: { [key]: ['7'] } });

test.each<{ user: UserInfo; setup: Setup; detail: string }>([
  {
    user: withKey(credentialId),
    setup: {},
    detail: `<sub>: an extra key is in a domain of Kubernetes (${credentialId}): for ${credentialId}, set its allowCredentialId: true`,
  },
  {
    user: withKey('kubernetes.io/sid'),
    setup: { allowCredentialId: true },
    detail:
      '<sub>: an extra key is in a domain of Kubernetes (kubernetes.io/sid): correct their names or keys of extra, or list',
  },
  {
    user: withKey('sallyport.example.com/tenant'),
    setup: {},
    detail:
      '<sub>: an extra key is in the domain of provenance.keyPrefix (sallyport.example.com/tenant): correct their names',
  },
  {
    user: { username: 'system:<sub>' },
    setup: {},
    detail: 'system:<sub>: a system: name is not in allowSystemNames: correct their names',
  },
  {
    user: { username: '<sub>', groups: ['system:secret'] },
    setup: {},
    detail: '<sub>: a system: name is not in allowSystemNames (system:withheld)',
  },
])('a user whom the policy refuses is an error: $user, $setup', ({ user, setup, detail }) => {
  expect(findings([user], setup)).toEqual([
    expect.stringContaining(`error: the identity policy refuses 1 of its users: ${detail}`),
  ]);
});

test('a name that has the prefix already is warned of', () => {
  const users = [
    { username: 'oidc:<sub>' },
    { username: 'jane', groups: ['ops', 'oidc-devs'] },
    { username: 'oidc' },
  ];
  expect(findings(users, { username: 'oidc:', groups: 'oidc-' })).toEqual([
    'warning: 2 of its names would have their prefix twice: oidc:oidc:<sub>; oidc-oidc-devs: write them without it, or remove ' +
      'username.prefix or groups.prefix of the authenticator',
  ]);
  // Any name may begin with these.
  expect(findings([{ username: 'alice', groups: ['ops'] }], { username: 'a', groups: '' })).toEqual(
    [],
  );
});

test('only the first users are listed, and a plugin that throws is an error', () => {
  const many = Array.from({ length: 7 }, (_, index) => ({ username: `system:${index}` }));
  expect(findings(many)).toEqual([
    expect.stringMatching(/refuses 7 of its users: (system:\d: [^;]*; ){4}[^;]*, and 2 more: /),
  ]);
  const throwing = {
    *[Symbol.iterator]() {
      yield* [];
      throw new Error('no secret here');
    },
  };
  expect(findings(throwing as unknown as UserInfo[])).toEqual([
    'error: knownUsers() failed: no withheld here',
  ]);
});

test('valid users are not reported', () => {
  const users = [
    withKey('example.com/tenant'),
    withKey(credentialId),
    { username: 'system:<sub>' },
  ];
  expect(findings(users, { allowCredentialId: true, allowSystemNames: ['system:*'] })).toEqual([]);
});

test('users without a uid are warned of where people log in with them', () => {
  const some = [{ username: 'jane', uid: '7' }, { username: 'joe' }];
  const login = ['corp'];
  expect(findings(some, { login })).toEqual([
    'warning: users of login.authenticators have no uid, so a new user with the same name gets their sessions: set the option that gives users a uid, such as user.attributes.uid',
  ]);
  for (const setup of [{}, { login: ['other'] }]) expect(findings(some, setup)).toEqual([]);
  for (const users of [[], some.slice(0, 1)]) expect(findings(users, { login })).toEqual([]);
});
