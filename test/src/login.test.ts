import { randomToken, secret, sha256 } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readTrailSoFar } from './testing/audit-trail.ts';
import { clusters, type LoginPlace, publicHost } from './testing/login-gateway.ts';
import type { LogLine } from './testing/output.ts';
import { shareLogin } from './testing/shared-login.ts';

const alice = { username: 'corp:alice', groups: ['corp:k8s-admins'] };
const wrong = {
  code: 'wrong-credentials',
  message: 'the name or the password is wrong, or this user is not allowed to log in',
};
const place = await shareLogin();

const bodyOf = ({ people }: LoginPlace) => {
  const { name: username, password } = people.alice;
  return { username, password, cluster: 'prod' };
};

describe.concurrent('a login', () => {
  test('gives a session that each replica accepts, for its cluster alone', async () => {
    const { ask, reviews } = place;
    const began = Date.now();
    const answer = await ask({ body: { ...bodyOf(place), device: 'laptop' } });
    expect(answer).toMatchObject({
      status: 201,
      json: { token: expect.stringMatching(/^sps_/), user: alice },
    });
    expect(Object.keys(answer.json ?? {})).toEqual(['token', 'expiresAt', 'user']);
    const start = Date.parse(String(answer.json?.expiresAt)) - 8 * 3_600_000;
    expect([began <= start, start <= Date.now()]).toEqual([true, true]);
    const token = secret(String(answer.json?.token));
    for (const status of await reviews(token)) {
      expect(status).toEqual({
        authenticated: true,
        user: alice,
        audiences: [clusters.prod.audience],
      });
    }
    for (const status of await reviews(token, clusters.staging.audience))
      expect(status).toEqual({ authenticated: false });
  });

  test('is refused alike for an unknown name, a wrong password and a user who is locked out', async () => {
    const { ask, people, replicas } = place;
    const locked = await people.add('locked');
    const from = replicas.gateways[0]?.output.lines.length;
    const times = { unknown: [] as number[], wrong: [] as number[] };
    for (let count = 0; count < 6; count += 1) {
      for (const [kind, username] of [
        ['unknown', 'nobody'],
        ['wrong', locked.name],
      ] as const) {
        const began = performance.now();
        const answer = await ask({ body: { username, password: randomToken(), cluster: 'prod' } });
        times[kind].push(performance.now() - began);
        expect([answer.status, answer.json]).toEqual([401, wrong]);
        expect(answer.headers['retry-after']).toBeUndefined();
      }
    }
    // Both answer after a multiple of half a second, and never sooner.
    for (const all of Object.values(times)) expect(Math.min(...all)).toBeGreaterThanOrEqual(499);
    // The guard of reviews sent three wrong passwords, however many came.
    expect((await people.slapd.operations()).bindsByDn.get(locked.dn)).toBe(3);
    const lines = replicas.gateways[0]?.output.lines.slice(from) ?? [];
    expect(
      lines.filter(({ msg, reason }) => msg === 'login request' && reason === 'throttled'),
    ).not.toEqual([]);
    // It was not right before, so the guard does not know it.
    const { name: username, password } = locked;
    expect(await ask({ body: { username, password, cluster: 'prod' } })).toMatchObject({
      status: 401,
    });
  });
});

describe.concurrent('the login server', () => {
  test('is for requests of its own host, and for no web page', async () => {
    const { ask } = place;
    const body = bodyOf(place);
    for (const headers of [
      { host: 'evil.example.com' },
      { host: `${publicHost}.evil.example.com` },
      { host: `${publicHost}:8444` },
      { host: `user@${publicHost}` },
      { origin: `https://${publicHost}` },
      { origin: 'null' },
    ]) {
      expect(await ask({ body, headers })).toMatchObject({
        status: 403,
        json: { code: 'forbidden' },
      });
    }
    for (const host of [publicHost.toUpperCase(), `${publicHost}:443`]) {
      expect(await ask({ body, headers: { host } })).toMatchObject({ status: 201 });
    }
    const answer = await ask({ method: 'GET', path: '/v1/clusters' });
    const names = [{ name: 'prod' }, { name: 'staging' }, { name: 'sibling' }];
    expect(answer.json).toEqual({
      clusters: names,
      browser: true,
      passwords: true,
      secondFactor: true,
    });
    expect(answer.headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'strict-transport-security': expect.any(String),
    });
    for (const name of ['set-cookie', 'access-control-allow-origin'])
      expect(answer.headers[name]).toBeUndefined();
  });

  test('refuses what is not one of its requests, each with a JSON error', async () => {
    const { ask } = place;
    const body = bodyOf(place);
    for (const [request, status, code] of [
      [{ method: 'GET', path: '/v1' }, 404, 'not-found'],
      [{ method: 'POST', path: '/v1/sessions/' }, 404, 'not-found'],
      [{ method: 'PUT', path: '/v1/sessions', body }, 405, 'method-not-allowed'],
      [{ body, headers: { 'content-type': 'text/plain' } }, 415, 'unsupported-media-type'],
      [{ body, headers: { 'content-encoding': 'gzip' } }, 415, 'unsupported-media-type'],
      [{ body: '{' }, 400, 'bad-request'],
      [{ body: { ...body, username: 'x'.repeat(20_000) } }, 413, 'too-large'],
      [{ method: 'GET', path: '/v1/session' }, 401, 'no-session'],
      [{ method: 'GET', path: '/v1/session', token: randomToken() }, 401, 'no-session'],
      [
        { method: 'DELETE', path: '/v1/session', token: `sps_${'a'.repeat(49)}` },
        401,
        'no-session',
      ],
      [{ method: 'GET', path: '/v1/clusters/other/kubeconfig' }, 404, 'unknown-cluster'],
      [{ method: 'GET', path: '/v1/clusters/__proto__/kubeconfig' }, 404, 'unknown-cluster'],
    ] as const) {
      const answer = await ask(request);
      expect([request, answer.status, answer.json?.code]).toEqual([request, status, code]);
      expect(Object.keys(answer.json ?? {})).toEqual(['code', 'message']);
    }
    expect((await ask({ method: 'PUT', path: '/v1/session' })).headers.allow).toBe('GET, DELETE');
    const { json } = await ask({ method: 'GET', path: '/readyz' });
    expect(json?.message).toMatch(/^there is no such request: .* at admin\.listen$/);
    const basic = { path: '/v1/session', headers: { authorization: 'Basic eDp5' } };
    expect((await ask({ method: 'GET', ...basic })).json?.message).toContain('Bearer TOKEN');
  });

  test('answers a token review with where reviews go, as kube-apiserver shows it, whatever its Host', async () => {
    const { ask, replicas } = place;
    const secretToken = secret(randomToken());
    const body = { kind: 'TokenReview', spec: { token: secretToken } };
    const message = 'token reviews go to server.listen, not to login.listen';
    for (const path of ['/authenticate?timeout=10s', '/']) {
      expect(await ask({ path, body, headers: { host: '127.0.0.1' } })).toMatchObject({
        ...{ status: 404 },
        json: { kind: 'Status', reason: 'NotFound', message: `not found: ${message}`, code: 404 },
      });
    }
    const isRefusal = ({ msg }: LogLine) => msg === message;
    await replicas.gateways[0]?.output.waitForLine(isRefusal, message);
  });

  test('gives kubeconfigs without secrets', async () => {
    const {
      status,
      text: written,
      headers,
    } = await place.ask({ method: 'GET', path: '/v1/clusters/prod/kubeconfig' });
    expect([status, headers['content-type']]).toEqual([200, 'application/yaml']);
    const { clusters: listed, contexts, users } = parse(written);
    const extension = {
      login: `https://${publicHost}`,
      cluster: 'prod',
      audience: clusters.prod.audience,
    };
    const extensions = [{ name: 'client.authentication.k8s.io/exec', extension }];
    expect(listed).toEqual([
      { name: 'prod', cluster: { server: clusters.prod.server, extensions } },
    ]);
    expect(contexts).toEqual([{ name: 'prod', context: { cluster: 'prod', user: 'sallyport' } }]);
    expect(users).toMatchObject([
      {
        user: { exec: { command: 'kubectl-sallyport', args: ['token'], provideClusterInfo: true } },
      },
    ]);
  });
});

test('a session that others wrote into its Redis is refused, and so is one of another token', async () => {
  const { people, redis, logIn, reviews } = place;
  const client = redis.client();
  const [bobs, alices] = [await logIn(people.bob), await logIn(people.alice)];
  const [bob, key] = [`sessions:${sha256(bobs)}`, `sessions:${sha256(alices)}`];
  const record = JSON.parse((await client.get(key)) ?? '');
  const own = JSON.parse((await client.get(bob)) ?? '');
  const unchecked = { authenticated: false, error: 'authenticator sessions unavailable' };
  const plain = Buffer.from(
    JSON.stringify({ ...record, authenticator: 'corp', since: 0 }),
  ).toString('base64url');
  for (const forged of [
    record,
    { ...own, session: record.session },
    { ...own, session: `p1.${plain}` },
    { ...own, session: `${own.session}A` },
    { username: 'corp:alice', groups: ['corp:k8s-admins'] },
  ]) {
    await client.set(bob, JSON.stringify(forged), 'PX', 3_600_000);
    const isRead = async () => (await reviews(bobs)).every(({ authenticated }) => !authenticated);
    await waitFor(isRead, 'the forged record to be read');
    expect(await reviews(bobs)).toEqual([unchecked, unchecked]);
  }
  // Nothing but the sealed text counts.
  const changed = {
    ...record,
    username: 'corp:root',
    groups: ['system:masters'],
    audiences: [clusters.staging.audience],
  };
  await client.set(
    key,
    JSON.stringify({ ...changed, expiresAt: '2999-01-01T00:00:00Z' }),
    'PX',
    3_600_000,
  );
  for (const status of await reviews(alices)) {
    expect(status).toEqual({
      authenticated: true,
      user: alice,
      audiences: [clusters.prod.audience],
    });
  }
  for (const status of await reviews(alices, clusters.staging.audience))
    expect(status).toEqual({ authenticated: false });
});

test('a logout acts on all replicas, and is in the audit trail as logins are, with device and address', async () => {
  const { ask, logIn, people, replicas, reviews } = place;
  const ada = await people.add('ada');
  const [token, other] = [await logIn(ada, { device: 'laptop' }), await logIn(ada)];
  await ask({
    body: { username: ada.name, password: randomToken(), cluster: 'prod', device: 'phone' },
  });
  expect((await reviews(token)).map(({ authenticated }) => authenticated)).toEqual([true, true]);
  expect(await ask({ method: 'DELETE', path: '/v1/session', token })).toMatchObject({
    status: 204,
    text: '',
  });
  // This is sooner than any answer about it would be asked for again.
  const isOver = async () => (await reviews(token)).every(({ authenticated }) => !authenticated);
  await waitFor(isOver, 'the logout to act on both replicas');
  for (const { authenticated } of await reviews(other)) expect(authenticated).toBe(true);
  expect(await ask({ method: 'GET', path: '/v1/session', token })).toMatchObject({ status: 401 });
  const folder = replicas.gateways[0]?.folder ?? '';
  const isAda = (user: unknown) => user === 'corp:ada' || user === 'ada';
  const event = (name: string, outcome: string) =>
    waitFor(
      async () =>
        (await readTrailSoFar(folder)).find(
          (line) =>
            line.event === name &&
            line.outcome === outcome &&
            [line.username, line.subject].some(isAda),
        ),
      `the line of ${name} ${outcome}`,
    );
  const known = {
    authenticator: 'corp',
    username: 'corp:ada',
    cluster: 'prod',
    device: 'laptop',
    address: '127.0.0.1',
  };
  const login = await event('login', 'ok');
  expect(login).toMatchObject({
    ...known,
    session: expect.stringMatching(/^[0-9a-f]{12}$/),
    fingerprint: expect.any(String),
  });
  expect(await event('login', 'refused')).toMatchObject({
    authenticator: 'corp',
    subject: 'ada',
    reason: 'invalid-credentials',
    device: 'phone',
  });
  expect(await event('logout', 'ok')).toMatchObject({
    ...known,
    session: login.session,
    fingerprint: login.fingerprint,
    ended: 1,
  });
});
