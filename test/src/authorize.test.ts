import { createJwtIssuer } from '@sallyport/test-servers/jwt-issuer';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { issue } from '@sallyport/test-servers/redis-tokens';
import { sha256 } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AccessUser, askAccess, noOpinion } from './testing/access-review.ts';
import { type Client, http1Client, review } from './testing/clients.ts';
import { startGateway } from './testing/gateway.ts';
import { clusters, type LoginPlace, startLogin } from './testing/login-gateway.ts';
import { robots } from './testing/redis-gateway.ts';
import type { Version } from './testing/token-review.ts';

const key = 'authentication.kubernetes.io/credential-id';
const audience = clusters.prod.audience;
const issuer = createJwtIssuer();

/** Two gateways with sessions, issued tokens and JWTs. */
let place: LoginPlace;
let clients: readonly Client[];
beforeAll(async () => {
  place = await startLogin({
    count: 2,
    others: (url) => [
      robots({ url }),
      issuer.authenticator(
        {},
        { issuer: { url: issuer.url, audiences: [audience], jwksFile: 'keys.json' } },
      ),
    ],
    files: issuer.files,
    more: { server: { authorize: true } },
  });
  clients = place.replicas.gateways.map(({ url }) => http1Client(url));
  await untilKnown(clients);
});
afterAll(async () => {
  for (const client of clients) client[Symbol.dispose]();
  await place[Symbol.asyncDispose]();
});

/** Waits until each gateway knows who is blocked: a new Redis has no list. */
async function untilKnown(askers: readonly Client[]): Promise<void> {
  const isKnown = async () =>
    (await askAll({ username: 'someone' }, 'v1', askers)).every((answer) => answer !== 503);
  await waitFor(isKnown, 'the gateways to know who is blocked');
}

function askAll(user: AccessUser, version: Version = 'v1', askers = clients) {
  return Promise.all(askers.map((client) => askAccess(client, user, version)));
}

const both = (answer: unknown): unknown[] => [answer, answer];
const blocked = both({
  allowed: false,
  denied: true,
  reason: expect.stringMatching(/^sallyport: blocked until \d{4}-\d\d-\d\dT\d\d:\d\dZ$/),
});
const ended = {
  allowed: false,
  denied: true,
  reason: 'sallyport: this session or token was logged out or revoked',
};

/** Returns the user about whom kube-apiserver asks when the token was accepted. */
async function userOf(token: string): Promise<AccessUser> {
  const { user } = await review(clients[0] as Client, token, 'v1', [audience]);
  if (user === undefined) throw new Error('the token was not accepted');
  return user;
}

/** Waits until both gateways have an answer about a user. */
async function untilDenied(user: AccessUser): Promise<void> {
  const isDenied = async () => (await askAll(user)).every((answer) => Object(answer).denied);
  await waitFor(isDenied, 'both gateways to deny access');
}

describe('a block', () => {
  test.each([
    { words: ['--user', 'corp:jane'], user: { username: 'corp:jane' } },
    { words: ['--group', 'corp:ops'], user: { username: 'x', groups: ['dev', 'corp:ops'] } },
    { words: ['--jti', 'leaked'], user: { username: 'x', extra: { [key]: ['a', 'JTI=leaked'] } } },
    { words: ['--sid', 'laptop'], user: { username: 'x', extra: { [key]: ['SID=laptop'] } } },
  ])(
    '$words is denied at each gateway as soon as the command returns, until unblock does',
    async ({ words, user }) => {
      const { operator } = place.replicas;
      expect(await askAll(user)).toEqual(both(noOpinion));
      const options = ['--for', '1h', '--by', 'eve', '--reason', 'a private reason'];
      expect(await operator.run(['block', ...words, ...options])).toMatchObject({ code: 0 });
      for (const version of ['v1', 'v1beta1'] as const)
        expect(await askAll(user, version)).toEqual(blocked);
      expect(await askAll({ username: 'corp:john', groups: ['dev'] })).toEqual(both(noOpinion));
      expect(await operator.run(['unblock', ...words])).toMatchObject({ code: 0 });
      expect(await askAll(user)).toEqual(both(noOpinion));
    },
  );

  test('of an issued token denies requests by its credential ID alone', async () => {
    const { operator } = place.replicas;
    const token = await issue(() => place.redis, { username: 'ci' });
    const user = await userOf(token);
    expect(user.extra).toEqual({ [key]: [`SALLYPORT=${sha256(token)}`] });
    expect(await askAll(user)).toEqual(both(noOpinion));
    expect(await operator.run(['block', '--token', '--for', '1h'], token)).toMatchObject({
      code: 0,
    });
    expect(await askAll(user)).toEqual(blocked);
    expect(await askAll({ username: user.username })).toEqual(both(noOpinion));
  });
});

test('the user of a JWT has its ids as credential IDs', async () => {
  const user = await userOf(issuer.token({ sub: 'ann', jti: '7', sid: 'phone', aud: audience }));
  expect(user.extra).toEqual({ [key]: ['JTI=7', 'SID=phone'] });
});

test('a session that was logged out is denied at each gateway, and another one of its user is not', async () => {
  const jane = await place.people.add('leaving');
  const [token, other] = [await place.logIn(jane), await place.logIn(jane)];
  const [user, otherUser] = [await userOf(token), await userOf(other)];
  expect(user.extra?.[key]).toEqual([`SALLYPORT=${sha256(token)}`]);
  expect(await askAll(user)).toEqual(both(noOpinion));
  const answer = await place.ask({ method: 'DELETE', path: '/v1/session', token });
  expect(answer.status).toBe(204);
  await untilDenied(user);
  expect(await askAll(user)).toEqual(both(ended));
  expect(await askAll(otherUser)).toEqual(both(noOpinion));
});

describe('without the list of blocks', () => {
  /** A gateway whose Redis has no list at the start. */
  async function startAlone(redis: RedisServer) {
    const cache = {
      redis: { url: redis.url, startWithoutBlocks: false, sealingKeys: [{ env: 'KEY' }] },
    };
    const config = { server: { authorize: true }, authenticators: [issuer.authenticator()], cache };
    const env = { KEY: Buffer.alloc(32, 7).toString('base64') };
    return await startGateway({ config, files: issuer.files, env });
  }

  test('the answer is 503, so that the failurePolicy of kube-apiserver decides', async () => {
    await using redis = await startRedis();
    await using gateway = await startAlone(redis);
    using client = http1Client(gateway.url);
    expect(await askAccess(client, { username: 'x' })).toBe(503);
  });
});
