import type { IssuedToken } from '@sallyport/authenticator';
import { expect, test } from 'vitest';
import { digestToken } from '../engine/revocation/list.ts';
import { createSessionTexts, type Session } from '../engine/sessions/session-text.ts';
import { createFactorPolicy } from './factors/policy.ts';
import type { LoginService } from './login-service.ts';
import { currentSession, listOwn, logOut, logOutEverywhere } from './own-sessions.ts';

const texts = createSessionTexts([]);
const session: Session = {
  authenticator: 'corp',
  username: 'alice',
  name: 'corp:alice',
  since: 1_000,
  until: Date.now() + 3_600_000,
  address: '192.0.2.1',
};
const { signal } = new AbortController();

/**
 * Makes a service.
 *
 * @param tokens the tokens of alice, which are sessions, except `ordinary`
 * @param unconfirmed the tokens whose logout no replica of the store confirms
 * @param authenticate answers about each token
 */
function createStore(
  tokens: readonly string[],
  unconfirmed: readonly string[] = [],
  authenticate?: () => Promise<unknown>,
) {
  const revoked: string[] = [];
  const warned: unknown[] = [];
  let failing = '';
  const made = (token: string, at: number): IssuedToken => {
    const digest = digestToken(token);
    const text = token === 'ordinary' ? {} : { session: texts.write(digest, session) };
    const times = { issuedAt: new Date(at), expiresAt: new Date(session.until) };
    return { digest, user: { username: 'corp:alice' }, ...times, ...text };
  };
  const all = tokens.map(made);
  const now = (one: IssuedToken) =>
    revoked.includes(one.digest) ? { ...one, revoked: { at: new Date(0) } } : one;
  const service = {
    texts,
    config: { clusters: {} },
    sessions: { recognizes: () => true, authenticator: { authenticate } },
    issuer: {
      async *list({ digest }: { digest?: string }) {
        yield* all.filter((one) => digest === undefined || one.digest === digest).map(now);
      },
      async *revoke(selection: { token: string } | { digest: string }) {
        const digest = 'token' in selection ? digestToken(selection.token) : selection.digest;
        if (digest === digestToken(failing)) throw new Error('Redis is down');
        const found = all.find((one) => one.digest === digest);
        if (found === undefined) return;
        const already = revoked.includes(digest);
        if (!already) revoked.push(digest);
        const isUnconfirmed = !already && unconfirmed.map(digestToken).includes(digest);
        yield { token: now(found), already, ...(isUnconfirmed && { unconfirmed: true }) };
      },
    },
    logger: { warn: (...words: unknown[]) => void warned.push(words) },
    describeProblem: String,
  } as unknown as LoginService;
  return {
    service,
    revoked,
    warned,
    make: (token: string) => void all.push(made(token, all.length)),
    fail: (token: string) => {
      failing = token;
    },
  };
}

test('a logout everywhere that failed can be repeated: its own session ends last', async () => {
  const { service, revoked, fail } = createStore(['own', 'second', 'third']);
  fail('third');
  await expect(logOutEverywhere(service, 'own', signal)).rejects.toMatchObject({ status: 503 });
  expect(revoked).toEqual([digestToken('second')]);
  fail('');
  expect(await logOutEverywhere(service, 'own', signal)).toEqual({
    session,
    count: 2,
    unconfirmed: 0,
  });
  expect(revoked).toEqual(['second', 'third', 'own'].map(digestToken));
  await expect(logOutEverywhere(service, 'own', signal)).rejects.toMatchObject({ status: 401 });
});

test('a logout everywhere ends logins in progress, and the session that one of them has made until then', async () => {
  const { service, revoked, make } = createStore(['own']);
  const ended: unknown[] = [];
  const endLogins: LoginService['endLogins'] = async (given) => {
    ended.push(given);
    make('late');
    return { revision: 2, previousRevision: 0, unconfirmed: 0 };
  };
  expect(await logOutEverywhere({ ...service, endLogins }, 'own', signal)).toMatchObject({
    count: 2,
  });
  expect(ended).toEqual([{ name: 'corp:alice', by: 'login', reason: 'logout everywhere' }]);
  expect(revoked).toEqual(['late', 'own'].map(digestToken));
});

test.each([
  {
    endLogins: async () => ({ revision: 2, previousRevision: 0, unconfirmed: 1 }),
    text: 'replicas have not ended logins in progress',
  },
  {
    endLogins: () => Promise.reject(new Error('down')),
    text: 'logins in progress could not be ended',
  },
] as const)(
  'a logout everywhere ends the sessions even if the replicas can not be told: %#',
  async ({ endLogins, text }) => {
    const { service, revoked, warned } = createStore(['own']);
    await logOutEverywhere({ ...service, endLogins }, 'own', signal);
    expect(revoked).toEqual([digestToken('own')]);
    expect(warned).toEqual([[expect.anything(), text]]);
  },
);

test('a list of sessions shows which of them lack a second factor', async () => {
  const { service } = createStore(['first']);
  const factorPolicy = createFactorPolicy({
    authenticators: ['corp'],
    secondFactor: { required: { groups: ['corp:admins'] } },
  });
  const listState = async (authenticator: string, ...groups: readonly string[]) => {
    const user = { username: 'corp:alice', groups };
    const login = { session: { ...session, authenticator }, user };
    const [listed] = await listOwn({ ...service, factorPolicy }, login, signal);
    return listed?.state;
  };
  expect([
    await listState('corp', 'corp:admins'),
    await listState('corp', 'corp:dev'),
    await listState('lab', 'corp:dev'),
  ]).toEqual(['lacks a second factor', 'good', 'good, unless a second factor is required']);
});

test('a logout ends no token that is not a session', async () => {
  const { service, revoked } = createStore(['ordinary', 'own']);
  for (const act of [logOut, logOutEverywhere]) {
    await expect(act(service, 'ordinary', signal)).rejects.toMatchObject({ status: 401 });
  }
  expect(revoked).toEqual([]);
  for (const wasInForce of [true, false]) {
    expect(await logOut(service, 'own', signal)).toEqual({ session, wasInForce, unconfirmed: 0 });
  }
});

test('logouts that no replica of the store has confirmed are counted and logged', async () => {
  const text = 'logout not confirmed by any replica of the session Redis: a failover can undo it';
  const single = createStore(['own'], ['own']);
  expect(await logOut(single.service, 'own', signal)).toMatchObject({
    wasInForce: true,
    unconfirmed: 1,
  });
  expect(await logOut(single.service, 'own', signal)).toMatchObject({
    wasInForce: false,
    unconfirmed: 0,
  });
  expect(single.warned).toEqual([[{ sessions: 1 }, text]]);
  const all = createStore(['own', 'second', 'third'], ['own', 'third']);
  expect(await logOutEverywhere(all.service, 'own', signal)).toMatchObject({
    count: 3,
    unconfirmed: 2,
  });
  expect(all.warned).toEqual([[{ sessions: 2 }, text]]);
});

test.each([
  {
    what: 'whose sealing key was removed has ended for its user',
    answer: async () => ({ kind: 'rejected', reason: 'sealing-key-removed' }),
    error: { status: 401, message: 'the key that sealed this session was removed: log in again' },
    line: [{}, 'session refused: its sealing key was removed'],
  },
  {
    what: 'that could not be checked continues for its user',
    answer: () => Promise.reject('down'),
    error: { status: 503, message: "the session can't be asked now: try again later" },
    line: [{ reason: 'down' }, 'session could not be checked'],
  },
])('a session $what, and the log says why', async ({ answer, error, line }) => {
  const { service, warned } = createStore([], [], answer);
  await expect(currentSession(service, 'own', signal)).rejects.toMatchObject(error);
  expect(warned).toEqual([line]);
});
