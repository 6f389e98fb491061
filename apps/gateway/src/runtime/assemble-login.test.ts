import {
  type Authenticator,
  AuthenticatorError,
  type Decision,
  type LoggedIn,
} from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import { createMemoryTier } from '../engine/cache/memory-tier.ts';
import type { PolicyLog } from '../engine/chain/identity-policy.ts';
import type { Entry } from '../engine/revocation/list.ts';
import { noBlocks } from '../engine/revocation/testing/no-blocks.ts';
import { writeSessionUser } from '../engine/sessions/session-user.ts';
import { assembleLogin, missingForLogin } from './assemble-login.ts';
import { linkOf } from './testing/link-parts.ts';

const config = {
  name: 'corp',
  timeout: 3000,
  maxConcurrent: 1,
  maxWaiting: 0,
  circuit: { minimumCalls: 5, openFor: 5000 },
  onError: 'stop',
  username: { prefix: 'corp:' },
  groups: { prefix: 'corp:', allow: ['dev', 'ops'], max: 10 },
  allowSystemNames: [],
  allowCredentialId: false,
  cache: 'off',
  fingerprint: 'of the config',
} as const;
const lifetimes = {
  authenticatedTtl: 300_000,
  rejectedTtl: 30_000,
  unknownTtl: 10_000,
  staleTtl: 600_000,
};
const block = { name: 'corp:mallory' } as Entry;
/** `login.maxSessions` */
const maxSessions = 12;
const alice = writeSessionUser({ username: 'alice', uid: '7', since: 1_000 });

interface Script {
  readonly revalidate?: (user: LoggedIn, since: Date) => Promise<Decision>;
  readonly authenticate?: (token: string) => Promise<Decision>;
  readonly isUnknown?: boolean;
}

function createLoginLink({ revalidate, authenticate, isUnknown = false }: Script = {}) {
  let [monotonic, revision] = [0, 0];
  let blockedToken: string | undefined;
  const calls = { revalidate: 0, authenticate: 0 };
  const known = { username: 'alice', uid: '7', groups: ['dev', 'other'] };
  const authenticator: Authenticator = {
    loginToken: (username, password) =>
      username.includes(':') ? undefined : `${username}:${password}`,
    async authenticate(token) {
      calls.authenticate++;
      return authenticate?.(token) ?? { kind: 'authenticated', user: known };
    },
    async revalidate(user, { since = new Date() }) {
      calls.revalidate++;
      return (
        revalidate?.(user, since) ?? {
          kind: 'authenticated',
          user: { ...known, username: user.username },
        }
      );
    },
    close: async () => undefined,
  };
  const blocks = {
    ...noBlocks,
    isUnknown,
    findByUser: (username: string) => (username === 'corp:mallory' ? block : undefined),
    findByToken: (token: string) => (token === blockedToken ? block : undefined),
  };
  const clocks = { monotonic: () => monotonic, wall: () => 1_700_000_000_000 + monotonic };
  const prefixes = { usernames: ['corp:'], groups: ['corp:'] };
  const warned: string[] = [];
  const hints: unknown[] = [];
  const warn = (
    fields: { readonly subject?: unknown; readonly hint?: unknown },
    message?: string,
  ) => {
    warned.push(message ?? '');
    if (fields.hint !== undefined) hints.push([fields.subject, fields.hint]);
  };
  const logger = { info: () => undefined, warn };
  const policyLog: PolicyLog = () => undefined;
  const linkParts = {
    config,
    authenticator,
    prefixes,
    clocks,
    logger,
    policyLog,
    blocks,
    apiAudiences: () => [],
    onAbandoned: () => undefined,
  };
  const link = linkOf(linkParts);
  const results: string[] = [];
  const cache = {
    memory: createMemoryTier(100),
    metrics: { lookup: () => undefined, coalesced: () => undefined },
    revocations: {
      get revision() {
        return revision;
      },
      isCutOff: false,
      isRevoked: (since: number, username: string | undefined) =>
        since < revision && username === 'corp:alice',
    },
  };
  const login = assembleLogin({
    ...linkParts,
    config: config as never,
    login: { revalidate: 60_000, maxSessions } as never,
    lifetimes: lifetimes as never,
    guard: link.guard,
    cache,
    onRevalidated: (_name, result) => results.push(result),
  });
  const context = { audiences: [], signal: new AbortController().signal };
  return {
    calls,
    blockToken: (token: string) => {
      blockedToken = token;
    },
    results,
    warned,
    hints,
    link,
    memory: cache.memory,
    later: (milliseconds: number) => {
      monotonic += milliseconds;
    },
    revokeAlice: () => {
      revision++;
    },
    user: async (text = alice) => login.users.authenticate(text, context),
    logIn: (username: string, password = 'secret') => login.link.logIn(username, password, context),
    context,
  };
}

describe('the user of a session', () => {
  test('gets the names that the policy makes, from one lookup in the time of login.revalidate', async () => {
    const { user, later, calls, results } = createLoginLink();
    const expected = {
      kind: 'authenticated',
      user: { username: 'corp:alice', uid: '7', groups: ['corp:dev'] },
    };
    expect(await Promise.all([user(), user(), user()])).toEqual([expected, expected, expected]);
    later(59_000);
    expect(await user()).toEqual(expected);
    expect(calls.revalidate).toBe(1);
    later(2_000);
    await user();
    expect(calls.revalidate).toBe(2);
    expect(results).toEqual(['confirmed', 'confirmed']);
  });

  test('is asked about with the time of the login', async () => {
    const asked: unknown[] = [];
    const revalidate = async (user: LoggedIn, since: Date): Promise<Decision> => {
      asked.push(user, since);
      return { kind: 'rejected', reason: 'disabled' };
    };
    expect(await createLoginLink({ revalidate }).user()).toEqual({
      kind: 'rejected',
      reason: 'disabled',
    });
    expect(asked).toEqual([{ username: 'alice', uid: '7' }, new Date(1_000)]);
  });

  test('has cached answers for as many sessions as they may have, and evicts those of no one else', async () => {
    const { user, calls, memory } = createLoginLink();
    const textOf = (username: string) => (_: unknown, since: number) =>
      writeSessionUser({ username, uid: '7', since });
    const victims = Array.from({ length: 30 }, (_, at) =>
      writeSessionUser({ username: `user ${at}`, uid: '7', since: 0 }),
    );
    for (const text of victims) await user(text);
    const sessions = Array.from({ length: maxSessions }, textOf('alice'));
    for (const text of [...sessions, ...sessions]) await user(text);
    expect(calls.revalidate).toBe(30 + maxSessions);
    for (const text of Array.from({ length: 200 }, textOf('alice'))) await user(text);
    expect(memory.entries).toBe(30 + maxSessions);
    const before = calls.revalidate;
    for (const text of victims) await user(text);
    expect(calls.revalidate).toBe(before);
  });

  test('is asked about again after a revocation', async () => {
    const { user, calls, revokeAlice } = createLoginLink();
    await user();
    revokeAlice();
    await user();
    expect(calls.revalidate).toBe(2);
  });

  test('is known by the last answer while the backend is down, until staleTtl has passed', async () => {
    let isDown = false;
    const down = new AuthenticatorError('unavailable', 'down');
    const { user, later, results } = createLoginLink({
      revalidate: async () => {
        if (isDown) throw down;
        return { kind: 'authenticated', user: { username: 'alice', uid: '7' } };
      },
    });
    await user();
    isDown = true;
    later(61_000);
    expect(await user()).toMatchObject({ kind: 'authenticated' });
    later(599_000);
    await expect(user()).rejects.toBe(down);
    expect(results).toEqual(['confirmed', 'error', 'stale', 'error']);
  });

  test.each([
    { what: 'another name', backendUser: { username: 'bob', uid: '7' } },
    { what: 'another spelling of it', backendUser: { username: 'Alice', uid: '7' } },
    { what: 'another uid', backendUser: { username: 'alice', uid: '8' } },
    { what: 'no uid', backendUser: { username: 'alice' } },
  ])('who has $what now is another user', async ({ backendUser }) => {
    const { user } = createLoginLink({
      revalidate: async () => ({ kind: 'authenticated', user: backendUser }),
    });
    expect(await user()).toEqual({ kind: 'rejected', reason: 'unknown-user', subject: 'alice' });
  });

  test.each([
    { kind: 'no-opinion' },
    { kind: 'yes' },
    null,
    { kind: 'authenticated', user: { username: 7 } },
  ])('could not be checked when the plugin answers %j', async (answer) => {
    await expect(
      createLoginLink({ revalidate: async () => answer as never }).user(),
    ).rejects.toMatchObject({
      code: 'failed',
    });
  });

  test('takes the same slots as tokens, and counts for the same circuit', async () => {
    const { promise, resolve } = Promise.withResolvers<Decision>();
    const begun = Promise.withResolvers<void>();
    const busy = createLoginLink({
      revalidate() {
        begun.resolve();
        return promise;
      },
    });
    const first = busy.user();
    await begun.promise;
    await expect(busy.link.authenticator.authenticate('token', busy.context)).rejects.toMatchObject(
      {
        message: 'too many lookups in progress (maxConcurrent 1)',
      },
    );
    resolve({ kind: 'authenticated', user: { username: 'alice', uid: '7' } });
    await first;
    const down = createLoginLink({
      revalidate: () => Promise.reject(new AuthenticatorError('unavailable', 'down')),
    });
    for (let count = 0; count < 5; count++) await expect(down.user()).rejects.toThrow('down');
    expect(down.link.guard.circuitState).toBe('open');
  });
});

describe('a login', () => {
  test('that could not be checked quotes neither the password nor the login token', async () => {
    const { logIn } = createLoginLink({
      authenticate: (token) =>
        Promise.reject(new AuthenticatorError('unavailable', `bad reply to ${token}`)),
    });
    await expect(logIn('alice', 'hunter2')).rejects.toMatchObject({
      message: 'bad reply to [token]',
    });
  });

  test('of a user without a uid is reported once', async () => {
    const warning =
      'user without a uid logged in: a later user with the same name gets their sessions';
    const withUid = createLoginLink();
    await withUid.logIn('alice');
    expect(withUid.warned).toEqual([]);
    const { logIn, warned, hints } = createLoginLink({
      authenticate: async () => ({ kind: 'authenticated', user: { username: 'alice' } }),
    });
    for (const _ of [1, 2]) await logIn('alice');
    expect(warned).toEqual([warning]);
    // The option may be set already.
    expect(hints).toEqual([
      ['alice', expect.stringMatching(/^set the option .*; if it is set, .* explain --user$/)],
    ]);
  });

  test('reaches the backend each time, and has both names of its user', async () => {
    const { logIn, calls } = createLoginLink();
    for (let count = 1; count <= 2; count++) {
      expect(await logIn('alice')).toEqual({
        kind: 'logged-in',
        backendUser: { username: 'alice', uid: '7', groups: ['dev', 'other'] },
        user: { username: 'corp:alice', uid: '7', groups: ['corp:dev'] },
      });
      expect(calls.authenticate).toBe(count);
    }
  });

  test('with a name that no token carries asks no one', async () => {
    const { logIn, calls } = createLoginLink();
    expect(await logIn('a:b')).toEqual({ kind: 'no-opinion' });
    expect(calls.authenticate).toBe(0);
  });

  test.each([
    { reason: 'blocked', backendUser: { username: 'mallory' } },
    { reason: 'identity-policy', backendUser: { username: 'a\u202eb' } },
  ])('is refused as $reason', async ({ reason, backendUser }) => {
    const { logIn } = createLoginLink({
      authenticate: async () => ({ kind: 'authenticated', user: backendUser }),
    });
    expect(await logIn('mallory')).toEqual({
      kind: 'rejected',
      reason,
      subject: backendUser.username,
    });
  });

  test('with a blocked login token asks no one, and one that is blocked while the backend answers is refused', async () => {
    const before = createLoginLink();
    before.blockToken('alice:secret');
    expect(await before.logIn('alice')).toEqual({ kind: 'rejected', reason: 'blocked' });
    expect(before.calls.authenticate).toBe(0);
    const during = createLoginLink({
      async authenticate() {
        during.blockToken('alice:secret');
        return { kind: 'authenticated', user: { username: 'alice' } };
      },
    });
    const refused = { kind: 'rejected', reason: 'blocked', subject: 'alice' };
    expect(await during.logIn('alice')).toEqual(refused);
  });

  test('gives no session while it is not known who is blocked, and a wrong password is still refused', async () => {
    await expect(createLoginLink({ isUnknown: true }).logIn('alice')).rejects.toThrow(
      'it is not known who is blocked',
    );
    const refused = { kind: 'rejected', reason: 'invalid-credentials' } as const;
    expect(
      await createLoginLink({ isUnknown: true, authenticate: async () => refused }).logIn('alice'),
    ).toEqual(refused);
  });
});

test('what an authenticator lacks for login.authenticators is named', () => {
  const has = async (): Promise<Decision> => ({ kind: 'no-opinion' });
  const plain: Authenticator = { authenticate: has, close: async () => undefined };
  expect(missingForLogin(plain)).toBe(
    "it can't check a password (its plugin has no loginToken, no revalidate)",
  );
  expect(missingForLogin({ ...plain, revalidate: has })).toBe(
    "it can't check a password (its plugin has no loginToken)",
  );
  expect(missingForLogin({ ...plain, loginToken: () => undefined })).toBe(
    'it can check a password, but not follow the user while a session lasts (its plugin has no revalidate)',
  );
  expect(
    missingForLogin({ ...plain, loginToken: () => undefined, revalidate: has }),
  ).toBeUndefined();
});
