import { createConnection } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readTrailSoFar } from './testing/audit-trail.ts';
import { clusters, type LoginPlace, loginUrlOf, publicHost, startLogin } from './testing/login-gateway.ts';
import { metricsText } from './testing/scrape.ts';
import { randomToken, secret } from './testing/tokens.ts';
import { waitFor } from './testing/wait-for.ts';

const alice = { username: 'corp:alice', groups: ['corp:k8s-admins'] };
const wrong = { code: 'wrong-credentials', message: 'the name or the password is wrong, or this user may not log in' };
/** More than a test sends. */
const many = { limits: { perAddress: '1000/s' } };

const bodyOf = ({ people }: LoginPlace) => {
  const { name: username, password } = people.alice;
  return { username, password, cluster: 'prod' };
};

describe.concurrent('a login', () => {
  test('gives a session that each replica accepts, for its cluster alone', async () => {
    await using place = await startLogin({ count: 2 });
    const { ask, reviews } = place;
    const began = Date.now();
    const answer = await ask({ body: { ...bodyOf(place), device: 'laptop' } });
    expect(answer).toMatchObject({ status: 201, json: { token: expect.stringMatching(/^sps_/), user: alice } });
    expect(Object.keys(answer.json ?? {})).toEqual(['token', 'expiresAt', 'user']);
    expect(Math.abs(Date.parse(String(answer.json?.expiresAt)) - began - 8 * 3_600_000)).toBeLessThan(60_000);
    const token = secret(String(answer.json?.token));
    for (const status of await reviews(token)) {
      expect(status).toEqual({ authenticated: true, user: alice, audiences: [clusters.prod.audience] });
    }
    for (const status of await reviews(token, clusters.staging.audience))
      expect(status).toEqual({ authenticated: false });
  });

  test('is refused alike for an unknown name, a wrong password and a user who is locked out', async () => {
    await using place = await startLogin({ login: many });
    const { ask, people, replicas } = place;
    const times = { unknown: [] as number[], wrong: [] as number[] };
    for (let count = 0; count < 6; count += 1) {
      for (const [kind, username] of [
        ['unknown', 'nobody'],
        ['wrong', 'alice'],
      ] as const) {
        const began = performance.now();
        const answer = await ask({ body: { username, password: randomToken(), cluster: 'prod' } });
        times[kind].push(performance.now() - began);
        expect([answer.status, answer.json]).toEqual([401, wrong]);
        expect(answer.headers['retry-after']).toBeUndefined();
      }
    }
    console.log(`refusals took ${Math.min(...times.unknown)} and ${Math.min(...times.wrong)} ms at least`);
    // A multiple of half a second, for both.
    for (const all of Object.values(times)) expect(Math.min(...all)).toBeGreaterThanOrEqual(499);
    // The guard of reviews: three wrong passwords were sent, however many came.
    expect((await people.slapd.operations()).bindsByDn.get(people.alice.dn)).toBe(3);
    const lines = replicas.gateways[0]?.output.lines ?? [];
    expect(lines.filter(({ msg, reason }) => msg === 'login request' && reason === 'throttled')).not.toEqual([]);
    // Hers was not right before, so the guard does not know it.
    expect(await ask({ body: bodyOf(place) })).toMatchObject({ status: 401 });
  });

  test('needs a cluster of the config, and fields that are known', async () => {
    await using place = await startLogin({ login: many });
    const { ask } = place;
    const { cluster: _, ...without } = bodyOf(place);
    const known = 'write one of prod, staging';
    expect(await ask({ body: without })).toMatchObject({ status: 400, json: { code: 'cluster-required' } });
    expect(await ask({ body: { ...without, cluster: 'other' } })).toMatchObject({
      status: 400,
      json: { code: 'unknown-cluster', message: `cluster is not known: ${known}` },
    });
    for (const body of [
      { ...bodyOf(place), otp: '1' },
      { ...bodyOf(place), password: '' },
      { ...bodyOf(place), device: 'x'.repeat(65) },
      { ...bodyOf(place), device: 'a\u202eb' },
      { ...bodyOf(place), cluster: '__proto__' },
      [],
      'null',
    ]) {
      expect((await ask({ body })).status).toBe(400);
    }
  });
});

describe.concurrent('the login server', () => {
  test('is for requests of its own host, and for no web page', async () => {
    await using place = await startLogin({ login: many });
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
      expect(await ask({ body, headers })).toMatchObject({ status: 403, json: { code: 'forbidden' } });
    }
    for (const host of [publicHost.toUpperCase(), `${publicHost}:443`]) {
      expect(await ask({ body, headers: { host } })).toMatchObject({ status: 201 });
    }
    const answer = await ask({ method: 'GET', path: '/v1/clusters' });
    expect(answer.json).toEqual({ clusters: [{ name: 'prod' }, { name: 'staging' }] });
    expect(answer.headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'strict-transport-security': expect.any(String),
    });
    for (const name of ['set-cookie', 'access-control-allow-origin']) expect(answer.headers[name]).toBeUndefined();
  });

  test('refuses what is not one of its requests, each with a JSON error', async () => {
    await using place = await startLogin({ login: many });
    const { ask } = place;
    const body = bodyOf(place);
    for (const [request, status, code] of [
      [{ method: 'GET', path: '/' }, 404, 'not-found'],
      [{ method: 'POST', path: '/v1/sessions/' }, 404, 'not-found'],
      [{ method: 'PUT', path: '/v1/sessions', body }, 405, 'method-not-allowed'],
      [{ body, headers: { 'content-type': 'text/plain' } }, 415, 'unsupported-media-type'],
      [{ body, headers: { 'content-encoding': 'gzip' } }, 415, 'unsupported-media-type'],
      [{ body: '{' }, 400, 'bad-request'],
      [{ body: { ...body, username: 'x'.repeat(20_000) } }, 413, 'too-large'],
      [{ method: 'GET', path: '/v1/session' }, 401, 'no-session'],
      [{ method: 'GET', path: '/v1/session', token: randomToken() }, 401, 'no-session'],
      [{ method: 'DELETE', path: '/v1/session', token: `sps_${'a'.repeat(49)}` }, 401, 'no-session'],
      [{ method: 'GET', path: '/v1/clusters/other/kubeconfig' }, 404, 'unknown-cluster'],
      [{ method: 'GET', path: '/v1/clusters/__proto__/kubeconfig' }, 404, 'unknown-cluster'],
    ] as const) {
      const answer = await ask(request);
      expect([request, answer.status, answer.json?.code]).toEqual([request, status, code]);
      expect(Object.keys(answer.json ?? {})).toEqual(['code', 'message']);
    }
    expect((await ask({ method: 'PUT', path: '/v1/session' })).headers.allow).toBe('GET, DELETE');
  });

  test('gives kubeconfigs without secrets', async () => {
    await using place = await startLogin();
    const { status, text: written, headers } = await place.ask({ method: 'GET', path: '/v1/clusters/prod/kubeconfig' });
    expect([status, headers['content-type']]).toEqual([200, 'application/yaml']);
    const { clusters: listed, contexts, users } = parse(written);
    const extension = { login: `https://${publicHost}`, cluster: 'prod', audience: clusters.prod.audience };
    const extensions = [{ name: 'client.authentication.k8s.io/exec', extension }];
    expect(listed).toEqual([{ name: 'prod', cluster: { server: clusters.prod.server, extensions } }]);
    expect(contexts).toEqual([{ name: 'prod', context: { cluster: 'prod', user: 'sallyport' } }]);
    expect(users).toMatchObject([
      { user: { exec: { command: 'kubectl-sallyport', args: ['token'], provideClusterInfo: true } } },
    ]);
  });

  test('limits the wrong passwords of an address, not the right ones', async () => {
    await using place = await startLogin({ login: { limits: { perAddress: '3/h' }, trustedProxies: ['127.0.0.9'] } });
    const { ask } = place;
    const right = bodyOf(place);
    for (let count = 0; count < 5; count += 1) expect((await ask({ body: right })).status).toBe(201);
    const guess = () => ({ body: { username: 'nobody', password: randomToken(), cluster: 'prod' } });
    for (let count = 0; count < 3; count += 1) expect((await ask(guess())).status).toBe(401);
    const limited = await ask({ body: right });
    expect(limited).toMatchObject({ status: 429, json: { code: 'too-many-requests' } });
    expect(Number(limited.headers['retry-after'])).toBeGreaterThan(60);
    // A client can't choose its address. A proxy can, and what the client wrote before it does not count.
    const forwarded = (list: string) => ({ headers: { 'x-forwarded-for': list } });
    expect((await ask({ body: right, ...forwarded('192.0.2.1') })).status).toBe(429);
    const proxy = { localAddress: '127.0.0.9' };
    expect((await ask({ body: right, ...forwarded('127.0.0.1, 192.0.2.1'), ...proxy })).status).toBe(201);
    expect((await ask({ body: right, ...forwarded('192.0.2.1, 127.0.0.1'), ...proxy })).status).toBe(429);
    expect((await ask({ body: right, localAddress: '127.0.0.2' })).status).toBe(201);
  });

  test('never refuses a logout because of other requests', async () => {
    await using place = await startLogin({
      login: { limits: { perAddress: '1/h', inFlight: 1 } },
      entry: { timeout: '5s' },
    });
    const { ask, people, replicas, logIn } = place;
    const [gateway] = replicas.gateways;
    if (gateway === undefined) throw new Error('no gateway');
    const token = await logIn(people.alice);
    const open = { method: 'GET', path: '/v1/clusters' } as const;
    for (let count = 0; count < 3; count += 1) {
      expect((await ask({ method: 'GET', path: '/v1/session', token: randomToken() })).status).toBe(401);
    }
    await people.slapd.hang();
    const hanging = ask({ body: { ...bodyOf(place), password: randomToken() } });
    const busy = async () => (await metricsText(gateway)).includes('\nsallyport_in_flight_login_requests 1\n');
    await waitFor(busy, 'the login to be in progress');
    // Ten times as many as passwords, for whatever needs none.
    for (let count = 0; count < 6; count += 1) expect((await ask(open)).status).toBe(200);
    expect(await ask(open)).toMatchObject({ status: 429, json: { code: 'too-many-requests' } });
    expect((await ask({ method: 'GET', path: '/' })).status).toBe(429);
    expect((await ask({ ...open, localAddress: '127.0.0.2' })).status).toBe(200);
    expect((await ask({ method: 'DELETE', path: '/v1/session', token })).status).toBe(204);
    await hanging;
  });

  test('counts a login whose client hangs up as a wrong password, and reports no outage', async () => {
    await using place = await startLogin({
      login: { limits: { perAddress: '2/h' } },
      entry: { timeout: '5s' },
      more: { audit: { output: 'audit.log' } },
    });
    const { ask, people, replicas } = place;
    const [gateway] = replicas.gateways;
    if (gateway === undefined) throw new Error('no gateway');
    const hasLine = (line: string) => async () => (await metricsText(gateway)).includes(`\n${line}\n`);
    const inFlight = (count: number) => hasLine(`sallyport_in_flight_login_requests ${count}`);
    const body = JSON.stringify({ username: 'alice', password: randomToken(), cluster: 'prod' });
    await people.slapd.hang();
    for (let count = 0; count < 2; count += 1) {
      const client = createConnection(Number(new URL(loginUrlOf(gateway)).port), '127.0.0.1');
      client.write(
        `POST /v1/sessions HTTP/1.1\r\nHost: ${publicHost}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      await waitFor(inFlight(1), 'the login to be in progress');
      client.resetAndDestroy();
      await waitFor(inFlight(0), 'the login to end');
    }
    expect(await ask({ body: bodyOf(place) })).toMatchObject({ status: 429 });
    const gone = hasLine('sallyport_login_requests_total{action="login",outcome="gone"} 2');
    await waitFor(gone, 'both to be counted');
    expect((await readTrailSoFar(gateway.folder)).filter(({ outcome }) => outcome === 'unavailable')).toEqual([]);
  });

  test('answers 429 beyond limits.inFlight, and a slow body takes no place', async () => {
    await using place = await startLogin({
      login: { limits: { perAddress: '1000/s', inFlight: 1 } },
      entry: { timeout: '5s' },
    });
    const { ask, people, replicas } = place;
    const [gateway] = replicas.gateways;
    if (gateway === undefined) throw new Error('no gateway');
    const slow = createConnection(Number(new URL(loginUrlOf(gateway)).port), '127.0.0.1');
    slow.write(
      `POST /v1/sessions HTTP/1.1\r\nHost: ${publicHost}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    );
    const ended = text(slow);
    expect((await ask({ body: bodyOf(place) })).status).toBe(201);
    await people.slapd.hang();
    const hanging = ask({ body: bodyOf(place) });
    const busy = async () => (await metricsText(gateway)).includes('\nsallyport_in_flight_login_requests 1\n');
    await waitFor(busy, 'the login to be in progress');
    const limited = await ask({ body: bodyOf(place) });
    expect(limited).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
    expect((await hanging).status).toBe(503);
    expect(await ended).toMatch(/^HTTP\/1.1 408 .*"code":"too-slow"/s);
  });
});

test('a session that others wrote into its Redis is refused, and so is one of another token', async () => {
  await using place = await startLogin();
  const { people, redis, logIn, reviews } = place;
  const client = redis.client();
  const digests = async () =>
    (await client.keys('sessions:*')).flatMap((key) => /^sessions:([0-9a-f]{64})$/.exec(key)?.[1] ?? []);
  const bobs = await logIn(people.bob);
  const [bob = ''] = await digests();
  const alices = await logIn(people.alice);
  const key = (await digests()).find((one) => one !== bob) ?? '';
  const record = JSON.parse((await client.get(`sessions:${key}`)) ?? '{}');
  const own = JSON.parse((await client.get(`sessions:${bob}`)) ?? '{}');
  const unchecked = [{ authenticated: false, error: 'authenticator sessions unavailable' }];
  const plain = Buffer.from(JSON.stringify({ ...record, authenticator: 'corp', since: 0 })).toString('base64url');
  for (const forged of [
    record,
    { ...own, session: record.session },
    { ...own, session: `p1.${plain}` },
    { ...own, session: `${own.session}A` },
    { username: 'corp:alice', groups: ['corp:k8s-admins'] },
  ]) {
    await client.set(`sessions:${bob}`, JSON.stringify(forged), 'PX', 3_600_000);
    await waitFor(async () => (await reviews(bobs))[0]?.authenticated === false, 'the forged record to be read');
    expect(await reviews(bobs)).toEqual(unchecked);
  }
  // Nothing but the sealed text counts.
  const changed = {
    ...record,
    username: 'corp:root',
    groups: ['system:masters'],
    audiences: [clusters.staging.audience],
  };
  await client.set(
    `sessions:${key}`,
    JSON.stringify({ ...changed, expiresAt: '2999-01-01T00:00:00Z' }),
    'PX',
    3_600_000,
  );
  const now = () => reviews(alices);
  await waitFor(async () => (await now())[0]?.authenticated, 'the changed record to be read');
  expect(await now()).toEqual([{ authenticated: true, user: alice, audiences: [clusters.prod.audience] }]);
  expect(await reviews(alices, clusters.staging.audience)).toEqual([{ authenticated: false }]);
});

test('logins and logouts are in the audit trail, with device and address', async () => {
  await using place = await startLogin({ more: { audit: { output: 'audit.log' } } });
  const { ask, logIn, people, replicas } = place;
  const token = await logIn(people.alice, { device: 'laptop' });
  await ask({ body: { username: 'alice', password: randomToken(), cluster: 'prod', device: 'phone' } });
  await ask({ method: 'DELETE', path: '/v1/session', token });
  const folder = replicas.gateways[0]?.folder ?? '';
  const event = (name: string, outcome: string) =>
    waitFor(
      async () => (await readTrailSoFar(folder)).find((line) => line.event === name && line.outcome === outcome),
      `the line of ${name} ${outcome}`,
    );
  const known = {
    authenticator: 'corp',
    username: 'corp:alice',
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
    subject: 'alice',
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
