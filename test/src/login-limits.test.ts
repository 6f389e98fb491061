import { createConnection, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Gateway } from './testing/gateway.ts';
import {
  type LoginPlace,
  type LoginRequest,
  loginUrlOf,
  publicHost,
  startLogin,
} from './testing/login-gateway.ts';
import { metricsText } from './testing/scrape.ts';

let place: LoginPlace;
let gateway: Gateway;
beforeAll(async () => {
  place = await startLogin({
    login: { limits: { perAddress: '2/h', inFlight: 3 }, trustedProxies: ['127.0.0.9'] },
    // A directory that hangs is waited for, however slow this machine is.
    entry: { timeout: '28s' },
    options: { serverTimeout: '25s' },
    more: { audit: { output: 'audit.log' }, server: { reviewTimeout: '30s' } },
  });
  [gateway] = place.replicas.gateways as [Gateway];
});
afterAll(() => place[Symbol.asyncDispose]());

const right = () => {
  const { name: username, password } = place.people.alice;
  return { username, password, cluster: 'prod' };
};
/** Makes requests from one address. Each test has addresses of its own. */
const askFrom = (localAddress: string) => (request: LoginRequest) =>
  place.ask({ localAddress, ...request });
const guess = (username = 'nobody') => ({
  body: { username, password: randomToken(), cluster: 'prod' },
});
const hasLine = (line: string) => async () => (await metricsText(gateway)).includes(`\n${line}\n`);
const inFlight = (count: number) => hasLine(`sallyport_in_flight_login_requests ${count}`);

/** Makes the directory hang until the end. Then logins work again. */
async function hang(): Promise<AsyncDisposable> {
  await place.people.slapd.hang();
  const request = { body: right(), localAddress: '127.0.0.8' };
  return {
    async [Symbol.asyncDispose]() {
      await place.people.slapd.start();
      await waitFor(async () => (await place.ask(request)).status === 201, 'logins to work again');
    },
  };
}

/** Makes Redis hang until the end. */
async function hangRedis(): Promise<AsyncDisposable> {
  await place.redis.hang();
  return { [Symbol.asyncDispose]: () => place.redis.start() };
}

function connect(localAddress: string, body: string, length = body.length): Socket {
  const socket = createConnection({
    port: Number(new URL(loginUrlOf(gateway)).port),
    host: '127.0.0.1',
    localAddress,
  });
  const head = `POST /v1/sessions HTTP/1.1\r\nHost: ${publicHost}\r\nContent-Type: application/json\r\n`;
  socket.write(`${head}Content-Length: ${length}\r\n\r\n${body}`);
  return socket;
}

describe('the login server', () => {
  test('limits the wrong passwords of an address, not the right ones', async () => {
    const ask = askFrom('127.0.0.1');
    const body = right();
    for (let count = 0; count < 4; count += 1) expect((await ask({ body })).status).toBe(201);
    for (let count = 0; count < 2; count += 1) expect((await ask(guess())).status).toBe(401);
    const refused = await ask({ body });
    expect(refused).toMatchObject({ status: 429, json: { code: 'too-many-requests' } });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(60);
    // A client can't choose its address. A proxy can, and what the client wrote before it does not count.
    const forwarded = (list: string) => ({ body, headers: { 'x-forwarded-for': list } });
    expect((await ask(forwarded('192.0.2.1'))).status).toBe(429);
    const proxy = askFrom('127.0.0.9');
    expect((await proxy(forwarded('127.0.0.1, 192.0.2.1'))).status).toBe(201);
    expect((await proxy(forwarded('192.0.2.1, 127.0.0.1'))).status).toBe(429);
    expect((await askFrom('127.0.0.2')({ body })).status).toBe(201);
  });

  test('never refuses a logout because of other requests', async () => {
    const ask = askFrom('127.0.0.3');
    const token = secret(String((await ask({ body: right() })).json?.token));
    const open = { method: 'GET', path: '/v1/clusters' } as const;
    for (let count = 0; count < 13; count += 1) {
      expect((await ask({ method: 'GET', path: '/v1/session', token: randomToken() })).status).toBe(
        401,
      );
    }
    await using _ = await hang();
    const hanging = ask(guess());
    await waitFor(inFlight(1), 'the login to be in progress');
    // The limit is ten times that of passwords, for all requests without one.
    for (let count = 0; count < 6; count += 1) expect((await ask(open)).status).toBe(200);
    expect(await ask(open)).toMatchObject({ status: 429, json: { code: 'too-many-requests' } });
    expect((await ask({ method: 'GET', path: '/' })).status).toBe(429);
    expect((await askFrom('127.0.0.4')(open)).status).toBe(200);
    expect((await ask({ method: 'DELETE', path: '/v1/session', token })).status).toBe(204);
    await place.people.slapd.start();
    await hanging;
  });

  test('limits made-up logouts by address, and those of others go on', async () => {
    const [ask, other] = [askFrom('127.0.0.10'), askFrom('127.0.0.11')];
    const token = secret(String((await ask({ body: right() })).json?.token));
    const session = { path: '/v1/session', token };
    const forged = () =>
      ask({ method: 'DELETE', path: '/v1/session', token: `sps_${randomToken()}` });
    for (let count = 0; count < 20; count += 1) expect((await forged()).status).toBe(401);
    const refused = await forged();
    expect(refused).toMatchObject({ status: 429, json: { code: 'too-many-requests' } });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(60);
    // A valid one counts at its address, too, but for no other request there and at no other address.
    expect((await ask({ method: 'DELETE', ...session })).status).toBe(429);
    expect((await ask({ method: 'GET', ...session })).status).toBe(200);
    expect((await other({ method: 'DELETE', ...session })).status).toBe(204);
  });

  test('lets no address take the slots of the logouts of others', async () => {
    const token = secret(String((await askFrom('127.0.0.12')({ body: right() })).json?.token));
    const logout = (address: string, of: string) =>
      askFrom(address)({ method: 'DELETE', path: '/v1/session', token: of });
    {
      await using _ = await hangRedis();
      const forged = Array.from({ length: 4 }, () => logout('127.0.0.13', `sps_${randomToken()}`));
      // The maximum of requests is in progress, and waits for Redis.
      await Promise.any(
        forged.map(async (one) => {
          if ((await one).status !== 429) throw new Error('it was not refused');
        }),
      );
      expect(await logout('127.0.0.14', token)).toMatchObject({ status: 503 });
    }
    await waitFor(
      async () => (await logout('127.0.0.14', token)).status === 204,
      'logouts to work again',
    );
  });

  test('counts a login whose client hangs up as a wrong password, and reports no outage', async () => {
    const { body } = guess('bob');
    await using _ = await hang();
    for (let count = 0; count < 2; count += 1) {
      const client = connect('127.0.0.5', JSON.stringify(body));
      await waitFor(inFlight(1), 'the login to be in progress');
      client.resetAndDestroy();
      await waitFor(inFlight(0), 'the login to end');
    }
    expect(await askFrom('127.0.0.5')({ body: right() })).toMatchObject({ status: 429 });
    const gone = hasLine('sallyport_login_requests_total{action="login",outcome="gone"} 2');
    await waitFor(gone, 'both to be counted');
    const { output } = gateway;
    await output.waitForLine(
      (line) => line.address === '127.0.0.5' && line.outcome === 'limited',
      'the last one',
    );
    const lines = output.lines.filter(({ address }) => address === '127.0.0.5');
    expect(lines.map(({ outcome }) => outcome)).toEqual(['gone', 'gone', 'limited']);
  });

  test('answers 429 beyond limits.inFlight, and the directory sees no bind of what is refused', async () => {
    const body = right();
    const { slapd, alice } = place.people;
    const binds = async () => (await slapd.operations()).bindsByDn.get(alice.dn) ?? 0;
    const before = await binds();
    await using _ = await hang();
    const asked = Array.from({ length: 10 }, (_, index) =>
      askFrom(`127.0.1.${index + 1}`)({ body }),
    );
    await waitFor(inFlight(3), 'as many logins as may be in progress');
    const refused: number[] = [];
    for (const one of asked) {
      void one.then(
        ({ status, headers }) => status === 429 && refused.push(Number(headers['retry-after'])),
      );
    }
    await waitFor(() => refused.length === 7, 'the others to be refused');
    await slapd.start();
    const answers = await Promise.all(asked);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
    expect(refused).toEqual(Array(7).fill(1));
    expect(await binds()).toBe(before + 3);
  });

  test('lets slow bodies take no slot', async () => {
    const ended = [1, 2, 3].map(() => text(connect('127.0.0.6', '{', 100)));
    expect((await askFrom('127.0.0.6')({ body: right() })).status).toBe(201);
    for (const answer of await Promise.all(ended))
      expect(answer).toMatch(/^HTTP\/1.1 408 .*"code":"too-slow"/s);
  });
});
