import { startReplica, untilInSync } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Gateway } from './testing/gateway.ts';
import { type LoginPlace, startLogin } from './testing/login-gateway.ts';
import type { ListedToken } from './testing/redis-commands.ts';

let place: LoginPlace;
let gateway: Gateway;
beforeAll(async () => {
  place = await startLogin();
  [gateway] = place.replicas.gateways as [Gateway];
});
afterAll(() => place[Symbol.asyncDispose]());

const end = (token: string, path = '/v1/session') => place.ask({ method: 'DELETE', path, token });

async function untilRefused(tokens: readonly string[]): Promise<void> {
  const isRefused = async (token: string) =>
    (await place.reviews(token)).every((one) => !one.authenticated);
  await waitFor(
    async () => (await Promise.all(tokens.map(isRefused))).every(Boolean),
    'the sessions to be refused',
  );
}

test('a login server without browser logins has no page, and its clients learn it', async () => {
  const page = await place.ask({ method: 'GET', path: '/' });
  expect([page.status, page.json?.code]).toEqual([404, 'not-found']);
  const { json } = await place.ask({ method: 'GET', path: '/v1/clusters' });
  expect(json).toMatchObject({ browser: false, passwords: true, secondFactor: false });
});

test('in a session Redis whose memory is full, logout and revoke work, and a login says what is wrong', async () => {
  const { ask, logIn, people, redis, replicas } = place;
  const user = await people.add('full');
  const tokens = [await logIn(user), await logIn(user), await logIn(user), await logIn(user)];
  for (const token of tokens)
    expect(await place.reviews(token)).toMatchObject([{ authenticated: true }]);
  const [first = '', second = '', ...others] = tokens;
  const from = gateway.output.lines.length;
  try {
    await redis.client().config('SET', 'maxmemory', '1');
    await expect(redis.client().set('probe', 'x')).rejects.toThrow(/^OOM/);
    const { name: username, password } = user;
    expect(await ask({ body: { username, password, cluster: 'prod' } })).toMatchObject({
      status: 503,
      json: { code: 'unavailable' },
    });
    const { reason } = await gateway.waitForLog('session store failed', from);
    expect(reason).toContain('its memory is full (maxmemory)');
    expect((await end(first)).status).toBe(204);
    await untilRefused([first]);
    const revoked = await replicas.operator.run(['revoke', '--user', 'corp:full', '--by', 'zoë']);
    expect([revoked.code, revoked.stdout]).toEqual([
      0,
      expect.stringContaining('3 sessions revoked, 1 revoked already.'),
    ]);
    await untilRefused(others);
    expect(await end(second, '/v1/sessions')).toMatchObject({ status: 401 });
    const { tokens: listed } = (await replicas.operator.json(
      'token',
      'list',
      '--user',
      'corp:full',
    )) as {
      readonly tokens: readonly ListedToken[];
    };
    expect(listed.map((one) => one.revoked?.by).sort()).toEqual(['logout', 'zoë', 'zoë', 'zoë']);
  } finally {
    await redis.client().config('SET', 'maxmemory', '0');
  }
});

test('a logout and a revocation that no replica of the session Redis has confirmed are reported', async () => {
  const { logIn, people, redis, replicas } = place;
  const user = await people.add('copied');
  await using replica = await startReplica(redis, {}, ({ port }) => port);
  await untilInSync(replica);
  const [first, second, third, fourth] = [
    await logIn(user),
    await logIn(user),
    await logIn(user),
    await logIn(user),
  ];
  expect((await end(first)).status).toBe(204);
  await replica.hang();
  const from = gateway.output.lines.length;
  expect(await end(second)).toMatchObject({ status: 200, json: { ended: 1, unconfirmed: 1 } });
  const line = await gateway.waitForLog(
    'logout not confirmed by any replica of the session Redis: a failover can undo it',
    from,
  );
  expect(line).toMatchObject({ level: 'warn', sessions: 1 });
  expect(await end(third, '/v1/sessions')).toMatchObject({
    status: 200,
    json: { ended: 2, unconfirmed: 2 },
  });
  await untilRefused([first, second, third, fourth]);
  const [fifth, sixth] = [await logIn(user), await logIn(user)];
  const revoked = await replicas.operator.run(['revoke', '--token'], fifth);
  expect([revoked.code, revoked.stderr]).toEqual([
    0,
    expect.stringContaining(
      'no replica of the store of authenticator sessions has confirmed it: a failover now can undo',
    ),
  ]);
  const { stdout } = await replicas.operator.run(['revoke', '--token', '-o', 'json'], sixth);
  expect(JSON.parse(stdout)).toMatchObject({ revoked: [{ unconfirmed: true }] });
});
