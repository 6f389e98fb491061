import {
  type Authenticator,
  AuthenticatorError,
  type Credential,
  type Decision,
  type IdTokenIssuer,
  type UserInfo,
} from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../config/problems.ts';
import type {
  AuthenticatorConfig,
  DirectoryConfig,
  LoginConfig,
  ProviderConfig,
} from '../config/types.ts';
import { lifetimes, minute, never } from '../engine/cache/testing/cached-replica.ts';
import type { LinkContext } from '../engine/chain/chain.ts';
import { noBlocks } from '../engine/revocation/testing/no-blocks.ts';
import { assembleDirectory } from './assemble-directory.ts';
import { assembleGuard } from './assemble-link.ts';
import { assembleProvider, providerLifetime, providerProblems } from './assemble-provider.ts';
import { requireAbilities } from './generation.ts';
import { blockEntry, corpConfig, linkParts } from './testing/link-parts.ts';

const hour = 60 * minute;

const issuer: IdTokenIssuer = {
  issuer: 'https://idp.example.com',
  audiences: ['sallyport'],
  discoveryUrl: 'https://idp.example.com/.well-known/openid-configuration',
  ca: () => undefined,
};

const written = {
  title: undefined,
  authenticator: 'oidc',
  clientId: 'sallyport',
  scopes: ['openid'],
} as unknown as ProviderConfig;

const login = { publicUrl: 'https://login.example.com', ttl: 24 * hour } as LoginConfig;

const outage = () => {
  throw new AuthenticatorError('unavailable', 'down');
};

interface Backends {
  /** What the authenticator says of the ID token. */
  readonly says?: () => Decision;
  /** What the directory says of the account. Left out: the authenticator has no directory. */
  readonly account?: () => Decision;
  /** Names of blocked users and groups as Kubernetes sees them, a blocked ID token, or a blocked `sid`. */
  readonly blocked?: string;
  readonly isUnknown?: boolean;
}

const jane: UserInfo = { username: 'jane', uid: '7', groups: ['admins'] };
const credential: Credential = { sid: 'sid-1' };
const isJane = (): Decision => ({ kind: 'authenticated', user: jane, credential });

const context: LinkContext = { audiences: [], signal: never };

/** Makes the provider `okta`, whose ID tokens `oidc` checks, as the gateway stacks it. The test plays both backends. */
function createProvider({ says = isJane, account, isUnknown = false, ...more }: Backends = {}) {
  let { blocked } = more;
  const isBlocked = (...names: readonly (string | undefined)[]) =>
    blocked !== undefined && names.includes(blocked) ? blockEntry : undefined;
  const parts = {
    ...linkParts(),
    prefixes: { usernames: ['corp:', 'oidc:'], groups: ['corp:', 'oidc:'] },
    blocks: {
      ...noBlocks,
      isUnknown,
      findByToken: (token: string) => isBlocked(token),
      findByUser: (username: string, groups: readonly string[]) => isBlocked(username, ...groups),
      findByCredential: ({ sid }: Credential) => isBlocked(sid),
    },
  };
  const directory: DirectoryConfig = {
    authenticator: 'corp',
    by: 'username',
    groups: 'replace',
    missing: 'reject',
    refresh: minute,
  };
  const corp: Authenticator = {
    authenticate: async () => ({ kind: 'no-opinion' }),
    lookUp: async () => jane,
    revalidate: async () => account?.() ?? { kind: 'no-opinion' },
    close: async () => {},
  };
  const corpParts = { ...parts, config: corpConfig as AuthenticatorConfig, authenticator: corp };
  const config = {
    ...(corpConfig as AuthenticatorConfig),
    name: 'oidc',
    username: { prefix: 'oidc:' },
    groups: { prefix: 'oidc:', max: 2 },
    ...(account && { groups: { prefix: 'oidc:', max: 2, allow: [] }, directory }),
  };
  const oidc: Authenticator = {
    authenticate: async () => says(),
    idTokenIssuers: () => [issuer],
    close: async () => {},
  };
  const provider = assembleProvider('okta', written, {
    ...parts,
    config,
    authenticator: oidc,
    guard: assembleGuard({ ...parts, config, authenticator: oidc }),
    directory: assembleDirectory(
      config,
      [{ ...corpParts, guard: assembleGuard(corpParts) }],
      { ...lifetimes, memory: { maxEntries: 100 } },
      () => {},
    ),
    login,
    onCall: () => {},
  });
  return {
    provider,
    users: provider.users,
    clocks: parts.clocks,
    block: (name: string) => {
      blocked = name;
    },
    logIn: () => provider.logIn('id-token', context),
  };
}

describe('a login at a provider', () => {
  test('has the names of its authenticator, and the ids of the ID token', async () => {
    const { provider, logIn } = createProvider();
    expect(await logIn()).toEqual({
      kind: 'logged-in',
      backendUser: jane,
      user: { username: 'oidc:jane', uid: '7', groups: ['oidc:admins'] },
      credential,
    });
    expect(provider).toMatchObject({ name: 'okta', title: 'okta', authenticator: 'oidc' });
  });

  test('has the groups of the directory, if its authenticator has one', async () => {
    const account = (): Decision => ({
      kind: 'authenticated',
      user: { ...jane, groups: ['staff'] },
    });
    expect(await createProvider({ account }).logIn()).toMatchObject({
      backendUser: jane,
      user: { username: 'oidc:jane', uid: '7', groups: ['corp:staff'] },
    });
  });

  test.each<{ why: string; given: Backends; decision: Decision }>([
    {
      why: 'its authenticator refuses the ID token',
      given: { says: () => ({ kind: 'rejected', reason: 'expired', subject: 'jane' }) },
      decision: { kind: 'rejected', reason: 'expired', subject: 'jane' },
    },
    {
      why: 'its authenticator does not know it',
      given: { says: () => ({ kind: 'no-opinion' }) },
      decision: { kind: 'no-opinion' },
    },
    {
      why: 'the identity policy refuses the name',
      given: {
        says: () => ({ kind: 'authenticated', user: { ...jane, groups: ['a', 'b', 'c'] } }),
      },
      decision: { kind: 'rejected', reason: 'identity-policy', subject: 'jane' },
    },
    {
      why: 'the ID token is blocked',
      given: { blocked: 'id-token' },
      decision: { kind: 'rejected', reason: 'blocked' },
    },
    {
      why: 'the user is blocked',
      given: { blocked: 'oidc:jane' },
      decision: { kind: 'rejected', reason: 'blocked', subject: 'jane' },
    },
    {
      why: 'a group is blocked',
      given: { blocked: 'oidc:admins' },
      decision: { kind: 'rejected', reason: 'blocked', subject: 'jane' },
    },
    {
      why: 'the login at the provider is blocked',
      given: { blocked: 'sid-1' },
      decision: { kind: 'rejected', reason: 'blocked', subject: 'jane' },
    },
    {
      why: 'the account is disabled in the directory',
      given: { account: () => ({ kind: 'rejected', reason: 'disabled', subject: 'jane' }) },
      decision: { kind: 'rejected', reason: 'disabled', subject: 'jane' },
    },
  ])('is refused if $why', async ({ given, decision }) => {
    expect(await createProvider(given).logIn()).toEqual(decision);
  });

  test.each(['id-token', 'sid-1', 'oidc:jane', 'corp:staff'])(
    'is refused if %s is blocked while the directory answers',
    async (name) => {
      const place = createProvider({
        account() {
          place.block(name);
          return { kind: 'authenticated', user: { ...jane, groups: ['staff'] } };
        },
      });
      const refused = { kind: 'rejected', reason: 'blocked', subject: 'jane' };
      expect(await place.logIn()).toEqual(refused);
    },
  );

  test.each<{ what: string; given: Backends }>([
    { what: 'its authenticator', given: { says: outage } },
    { what: 'the directory', given: { account: outage } },
    { what: 'the revocation list', given: { isUnknown: true } },
  ])('is an error, not a refusal, without $what', async ({ given }) => {
    await expect(createProvider(given).logIn()).rejects.toThrow(AuthenticatorError);
  });
});

describe('the user of its session', () => {
  const sessionOf = ({ clocks }: ReturnType<typeof createProvider>) => ({
    username: 'jane',
    uid: '7',
    since: clocks.wall(),
    provider: { groups: ['admins'], extra: { 'example.com/team': ['a'] } },
  });

  test('is as the ID token said, while there is no one to ask', async () => {
    const place = createProvider({ says: outage });
    expect(await place.users(sessionOf(place), context)).toMatchObject({
      kind: 'authenticated',
      user: {
        username: 'oidc:jane',
        uid: '7',
        groups: ['oidc:admins'],
        extra: { 'example.com/team': ['a'] },
      },
    });
  });

  test('is looked up in the directory again', async () => {
    let decision: Decision = { kind: 'authenticated', user: { ...jane, groups: ['staff'] } };
    const place = createProvider({ account: () => decision });
    const session = sessionOf(place);
    const { users, clocks } = place;
    expect(await users(session, context)).toMatchObject({ user: { groups: ['corp:staff'] } });
    decision = { kind: 'rejected', reason: 'disabled', subject: 'jane' };
    clocks.pass(minute);
    expect(await users(session, context)).toMatchObject({ reason: 'disabled' });
  });

  test('is refused after the lifetime of today, whatever it was at the login', async () => {
    const place = createProvider();
    const session = sessionOf(place);
    place.clocks.pass(8 * hour - 1);
    expect(await place.users(session, context)).toMatchObject({ kind: 'authenticated' });
    place.clocks.pass(1);
    expect(await place.users(session, context)).toEqual({
      kind: 'rejected',
      reason: 'expired',
      subject: 'jane',
    });
  });
});

test.each([
  { what: 'login.ttl with a directory', provider: {}, hasDirectory: true, lifetime: 24 * hour },
  { what: '8 hours without one', provider: {}, hasDirectory: false, lifetime: 8 * hour },
  { what: 'its own ttl', provider: { ttl: 2 * hour }, hasDirectory: false, lifetime: 2 * hour },
  {
    what: 'its own ttl, even a long one',
    provider: { ttl: 12 * hour },
    hasDirectory: false,
    lifetime: 12 * hour,
  },
  {
    what: 'login.ttl at most',
    provider: { ttl: 48 * hour },
    hasDirectory: true,
    lifetime: 24 * hour,
  },
])('a session lasts $what', ({ provider, hasDirectory, lifetime }) => {
  const config = hasDirectory ? { directory: {} as DirectoryConfig } : {};
  expect(providerLifetime(provider, login, config)).toBe(lifetime);
});

describe('problems of providers', () => {
  const other = { ...issuer, issuer: 'https://other.example.com', audiences: ['kubernetes'] };

  function problems(provider: object, issuers?: readonly IdTokenIssuer[]) {
    const config = {
      name: 'oidc',
      providerProblem: (name: string, key: string, message: string, fix: string) => ({
        file: 'gateway.yaml',
        path: `${name}.${key}`,
        message,
        fix,
      }),
    } as unknown as AuthenticatorConfig;
    const authenticator = {
      ...(issuers && { idTokenIssuers: () => issuers }),
    } as unknown as Authenticator;
    const all = {
      login: {
        authenticators: [],
        providers: { okta: { ...written, ...provider } },
      } as unknown as LoginConfig,
    };
    const created = [{ config, authenticator }];
    const found = providerProblems(all, created);
    const start = () => requireAbilities(all, created);
    if (found.length > 0) expect(start).toThrow(ConfigError);
    else start();
    return found.map(({ path, message, fix }) => `${path}: ${message}: ${fix}`);
  }

  test.each<{
    what: string;
    provider: object;
    issuers: readonly IdTokenIssuer[] | undefined;
    expected: string[];
  }>([
    { what: 'one issuer that accepts the client', provider: {}, issuers: [issuer], expected: [] },
    {
      what: 'several, one of which is named',
      provider: { issuer: issuer.issuer },
      issuers: [other, issuer],
      expected: [],
    },
    {
      what: 'an authenticator that is not there',
      provider: { authenticator: 'none' },
      issuers: undefined,
      expected: [],
    },
    {
      what: 'an authenticator without ID tokens',
      provider: {},
      issuers: undefined,
      expected: [
        "okta.authenticator: can't check ID tokens (its plugin has no idTokenIssuers): write the name of an authenticator that checks ID tokens, such as one with use: jwt",
      ],
    },
    {
      what: 'no issuer whose keys are fetched',
      provider: {},
      issuers: [],
      expected: [
        'okta.authenticator: has no issuer whose keys are fetched: replace jwksFile in its options',
      ],
    },
    {
      what: 'several issuers, none of which is named',
      provider: {},
      issuers: [issuer, other],
      expected: [
        'okta.authenticator: has the issuers https://idp.example.com, https://other.example.com: write one of them into issuer of this provider',
      ],
    },
    {
      what: 'another issuer',
      provider: { issuer: 'https://idp.example.com/' },
      issuers: [issuer],
      expected: [
        'okta.issuer: has the issuers https://idp.example.com: write one of them into issuer of this provider',
      ],
    },
    {
      what: 'an issuer that refuses the client',
      provider: { issuer: other.issuer },
      issuers: [issuer, other],
      expected: [
        'okta.clientId: accepts tokens of https://other.example.com for kubernetes only, so it would refuse the ID tokens of this client: add clientId to the audiences of that issuer',
      ],
    },
  ])('$what', ({ provider, issuers, expected }) => {
    expect(problems(provider, issuers)).toEqual(expected);
  });
});
