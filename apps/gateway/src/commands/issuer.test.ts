import type { IssuedToken } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import { FixableError } from '../config/problems.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../config/types.ts';
import type { NamedUser } from '../engine/chain/identity-policy.ts';
import { createSessionTexts } from '../engine/sessions/session-text.ts';
import { createTestContext } from '../testing/command-context.ts';
import { chooseIssuer, seeToken, setUpIssuer, toJson } from './issuer.ts';
import { UsageError } from './output.ts';

/** Those whose names begin with `t` issue tokens. */
function config(...names: string[]) {
  const authenticators = names.map((name) => ({
    name,
    package: `package-of-${name}`,
    plugin: name.startsWith('t') ? { createTokenIssuer: async () => undefined } : {},
  })) as unknown as AuthenticatorConfig[];
  return {
    file: '/etc/gateway.yaml',
    authenticators,
    login: { sessions: 'ts' } as NonNullable<GatewayConfig['login']>,
  };
}

function failure(names: string[], named?: string): unknown {
  try {
    return chooseIssuer(config(...names), named).name;
  } catch (error) {
    return error;
  }
}

describe('without a name, a command', () => {
  test('takes the only one that issues tokens', () => {
    expect(chooseIssuer(config('corp', 'tokens'), undefined).name).toBe('tokens');
  });

  test('takes the only one besides that of the sessions, which has to be named unless it is alone', () => {
    expect(chooseIssuer(config('ts', 'tokens')).name).toBe('tokens');
    expect(chooseIssuer(config('ts', 'corp')).name).toBe('ts');
    expect(chooseIssuer(config('ts', 'tokens'), 'ts').name).toBe('ts');
  });

  test('fails where none issues tokens', () => {
    expect(failure(['corp', 'demo'])).toEqual(
      new Error(
        'no authenticator in /etc/gateway.yaml issues tokens: it has corp (package-of-corp), demo (package-of-demo)',
      ),
    );
  });

  test('fails where several issue tokens', () => {
    expect(failure(['ta', 'corp', 'tb', 'ts'])).toEqual(
      new UsageError('several authenticators issue tokens', 'write --authenticator ta or tb'),
    );
  });
});

describe('by name, a command', () => {
  test('takes one of several', () => {
    expect(chooseIssuer(config('ta', 'tb'), 'tb').name).toBe('tb');
  });

  test('takes the only one', () => {
    expect(chooseIssuer(config('ta', 'corp'), 'ta').name).toBe('ta');
  });

  test('fails for an unknown name, and shows the one that was meant', () => {
    expect(failure(['corp', 'tokens'], 'tokns')).toEqual(
      new UsageError(
        '--authenticator: "tokns" is not in /etc/gateway.yaml',
        'did you mean tokens?',
      ),
    );
    expect(failure(['tokens'], '')).toEqual(
      new UsageError('--authenticator: "" is not in /etc/gateway.yaml', 'write one of: tokens'),
    );
  });

  test('fails for one that issues no tokens', () => {
    expect(failure(['corp', 'ta', 'tb'], 'corp')).toEqual(
      new FixableError(
        "authenticator corp (package-of-corp) doesn't issue tokens",
        'write --authenticator ta or tb',
      ),
    );
    expect(failure(['corp'], 'corp')).toEqual(
      new FixableError(
        "authenticator corp (package-of-corp) doesn't issue tokens",
        'add an authenticator that does, such as one with use: redis',
      ),
    );
  });
});

const now = 1_000_000;
const past = new Date(now);
const future = new Date(now + 1);
const digest = 'ab'.repeat(32);
const passes = (): NamedUser => ({ user: { username: 'robot:jane' } });
const breaks = (): NamedUser => ({
  user: { username: 'robot:jane' },
  violation: { rule: 'a rule', name: 'x' },
});
const issued = (more: Partial<IssuedToken>): IssuedToken => ({
  digest,
  user: { username: 'jane' },
  ...more,
});

describe('the state', () => {
  test.each<{ state: string; more: Partial<IssuedToken>; nameUser: () => NamedUser }>([
    { state: 'good', more: {}, nameUser: passes },
    { state: 'good', more: { expiresAt: future, notBefore: past }, nameUser: passes },
    { state: 'expired', more: { expiresAt: past }, nameUser: passes },
    { state: 'not yet valid', more: { notBefore: future }, nameUser: passes },
    { state: 'revoked', more: { revoked: { at: past } }, nameUser: passes },
    { state: 'refused by policy', more: {}, nameUser: breaks },
    { state: 'revoked', more: { revoked: { at: past }, expiresAt: past }, nameUser: breaks },
    { state: 'expired', more: { expiresAt: past, notBefore: future }, nameUser: breaks },
    { state: 'refused by policy', more: { notBefore: future }, nameUser: breaks },
  ])('is $state for $more', ({ state, more, nameUser }) => {
    expect(seeToken(issued(more), nameUser, now).state).toBe(state);
  });
});

test('what was written as a session, and what was not, differ where our keys open neither', () => {
  const cache = { redis: { sealingKeys: [Buffer.alloc(32, 1)] } };
  const made = { ...config('ts'), cache } as unknown as GatewayConfig;
  const { nameUser } = setUpIssuer(createTestContext(), made, made.authenticators[0] as never);
  const stateOf = (more: Partial<IssuedToken>) => seeToken(issued(more), nameUser, now).state;
  expect(stateOf({ session: 's1.of another key' })).toBe('sealed with other keys');
  expect(stateOf({})).toBe('refused by policy');
});

describe('a session', () => {
  const session = {
    ...{ authenticator: 'corp', username: 'jane', name: 'corp:jane', address: '192.0.2.1' },
    ...{ since: 0, until: now },
  };
  /** Says the state of a session, in a config with these changes in `login`. */
  const findState = (changes: object, sessionChanges: object = {}, more: object = {}) => {
    const sessionConfig = config('ts');
    const usualLogin = { ...sessionConfig.login, authenticators: ['corp'], clusters: {} };
    const login = { ...usualLogin, providers: {}, ...changes };
    const { nameUser } = setUpIssuer(
      createTestContext(),
      { ...sessionConfig, cache: {}, login } as unknown as GatewayConfig,
      sessionConfig.authenticators[0] as never,
    );
    const text = createSessionTexts([]).write(digest, { ...session, ...sessionChanges });
    return seeToken({ ...issued({ session: text }), ...more }, nameUser, now).state;
  };

  test.each([
    ['all', 'lacks a second factor'],
    [{ groups: ['admins'] }, 'good, unless a second factor is required'],
    ['none', 'good'],
  ] as const)('without a second factor, where one is required of %j, is %s', (required, state) => {
    const secondFactor = { secondFactor: { required } };
    expect(findState(secondFactor)).toBe(state);
    expect(findState(secondFactor, {}, { expiresAt: past })).toBe('expired');
  });

  const prod = { cluster: 'prod', audience: 'a' };
  const okta = { provider: { name: 'okta', issuer: 'https://i', clientId: 'c' } };
  test.each<{ state: string; changes: object; sessionChanges?: object }>([
    { state: 'its authenticator is not in login', changes: { authenticators: ['lab'] } },
    { state: 'its cluster is not in login.clusters', changes: { clusters: { prod } } },
    { state: 'good', changes: { clusters: { prod } }, sessionChanges: prod },
    { state: 'its provider is not in login', changes: {}, sessionChanges: okta },
    {
      state: 'good',
      changes: { authenticators: [], providers: { okta: { authenticator: 'corp' } } },
      sessionChanges: okta,
    },
  ])('is $state with $changes', ({ state, changes, sessionChanges }) => {
    expect(findState(changes, sessionChanges)).toBe(state);
  });
});

describe('as JSON', () => {
  const parsed = (more: Partial<IssuedToken>, nameUser = passes) =>
    JSON.parse(JSON.stringify(toJson(seeToken(issued(more), nameUser, now), 'robots')));

  test('what is not known is left out', () => {
    const user = { username: 'robot:jane' };
    const minimal = { authenticator: 'robots', digest, user, record: { username: 'jane' } };
    expect(parsed({})).toEqual({ ...minimal, state: 'good' });
    expect(parsed({}, breaks)).toEqual({
      ...minimal,
      state: 'refused by policy',
      violation: { rule: 'a rule', name: 'x' },
    });
  });

  test('never used differs from not tracked', () => {
    expect(parsed({ lastUsedAt: null })).toHaveProperty('lastUsedAt', null);
    expect(parsed({})).not.toHaveProperty('lastUsedAt');
  });

  test('what a plugin puts on its objects besides is left out', () => {
    const more = {
      token: 'x',
      user: { username: 'jane', password: 'x' },
      revoked: { at: past, secret: 'x' },
    };
    expect(JSON.stringify(parsed(more))).not.toContain('"x"');
  });
});
