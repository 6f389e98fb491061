import { createAuthority } from '@sallyport/test-servers/certificates';
import { type ForgedProvider, startForgedProvider } from '@sallyport/test-servers/forged-provider';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoginAnswer } from './testing/ask-login.ts';
import {
  beginLogin,
  codeOf,
  codeWithPassword,
  confirmLogin,
  createFormBrowser,
  formTokenOf,
  redeemCode,
  sendPassword,
  titleOf,
  tokenOf,
} from './testing/browser-login.ts';
import { http2Client } from './testing/clients.ts';
import { writeFactor } from './testing/factor-records.ts';
import type { Gateway } from './testing/gateway.ts';
import { type LoginPlace, loginUrlOf, publicHost, startLogin } from './testing/login-gateway.ts';
import { bringAnswer, goToProvider, withProviders } from './testing/provider-login.ts';
import { openRawSocket } from './testing/raw-socket.ts';
import { shareLogin } from './testing/shared-login.ts';

const maxFailures = 3;
/** People: each test asks from addresses of its own. */
let place: LoginPlace;
/** Machines: nothing is limited by address. */
const open = await shareLogin();
let gateway: Gateway;
let provider: ForgedProvider;
beforeAll(async () => {
  provider = await startForgedProvider();
  const { login, ...others } = withProviders({ one: { server: provider } });
  place = await startLogin({ ...others, login: { ...login, limits: { perAddress: '4/h' } } });
  [gateway] = place.replicas.gateways as [Gateway];
});
afterAll(() => Promise.all([place, provider].map((one) => one[Symbol.asyncDispose]())));

const at = (localAddress: string) => ({ ask: place.ask, localAddress });

describe.concurrent('an address', () => {
  test('can guess as many passwords on pages as at a terminal, and they count together', async () => {
    const here = at('127.0.1.1');
    const person = await place.people.add('counted');
    const [login, browser] = [await beginLogin(here), createFormBrowser(here)];
    const wrong = () => sendPassword(browser, login, { name: 'nobody', password: randomToken() });
    const terminal = (password: string) => {
      const body = { username: person.name, password, cluster: 'prod' };
      return place.ask({ body, localAddress: here.localAddress });
    };
    const first = await wrong();
    expect([first.status, titleOf(first)]).toEqual([401, 'Wrong name or password']);
    expect((await terminal(randomToken())).status).toBe(401);
    expect((await wrong()).status).toBe(401);
    expect((await wrong()).status).toBe(401);
    const limited = await sendPassword(browser, login, person);
    expect([limited.status, titleOf(limited)]).toEqual([429, 'Too many attempts']);
    expect((await terminal(person.password)).status).toBe(429);
    expect((await redeemCode(here, 'A'.repeat(16), randomToken(32))).status).toBe(429);
    expect((await place.ask({ ...codeBody(), localAddress: '127.0.1.2' })).status).toBe(401);
  });

  test('can guess as many codes, each refused after half a second, known ids and unknown ones alike', async () => {
    const here = at('127.0.1.3');
    const { code, verifier } = await codeWithPassword(here, await place.people.add('guessed'));
    const last = code.endsWith('A') ? 'B' : 'A';
    const guess = code.slice(0, -1) + last;
    const unknown = 'a'.repeat(16);
    for (const [text, id] of [[guess], [guess, unknown], [code, unknown], ['no code']] as const) {
      const began = performance.now();
      const { status, json } = await redeemCode(here, text, verifier, id);
      expect([status, json?.code]).toEqual([401, 'wrong-code']);
      expect(performance.now() - began).toBeGreaterThanOrEqual(499);
    }
    expect((await redeemCode(here, code, verifier)).status).toBe(429);
    tokenOf(await redeemCode(at('127.0.1.4'), code, verifier));
  });

  test('can begin ten times as many logins, and others begin theirs', async () => {
    const here = at('127.0.1.5');
    for (let count = 0; count < 40; count += 1) await beginLogin(here);
    await expect(beginLogin(here)).rejects.toThrow('answered 429');
    await beginLogin(at('127.0.1.6'));
  });

  test('gets six pages for each login that it may begin, and others get theirs', async () => {
    const here = at('127.0.1.10');
    const [login, browser] = [await beginLogin(here), createFormBrowser(here)];
    const statuses: number[] = [];
    // Those that are of no login count as well.
    for (const path of Array(80).fill(['/', '/login/done/cancelled', login.path]).flat())
      statuses.push((await browser.get(path)).status);
    expect(statuses).toEqual(Array(240).fill(200));
    for (const path of ['/', '/login/done/cancelled'])
      expect((await browser.get(path)).status).toBe(429);
    expect(titleOf(await browser.get(login.path))).toBe('Too many requests');
    expect((await createFormBrowser(at('127.0.1.11')).get(login.path)).status).toBe(200);
  });

  test('is limited by answers of a provider that is down, each of which asks it again', async () => {
    const here = at('127.0.1.9');
    const [login, browser] = [await beginLogin(here), createFormBrowser(here)];
    const url = await goToProvider(browser, login, 'one');
    const answer = await provider.visit(url.href);
    provider.forge({
      answer: (path, right) => ({ ...right, ...(path === '/token' && { status: 503 }) }),
    });
    const known = new Map(browser.cookies);
    const statuses: number[] = [];
    while (statuses.length < 40) {
      // A client of an attacker keeps its cookies.
      for (const [name, value] of known) browser.cookies.set(name, value);
      statuses.push((await bringAnswer(browser, answer)).status);
    }
    // The begin of the login is one of the forty requests.
    expect(statuses).toEqual([...Array(39).fill(503), 429]);
  });

  test('is limited by forms that are no login as well', async () => {
    const here = at('127.0.1.7');
    const [login, browser] = [await beginLogin(here), createFormBrowser(here)];
    const form = formTokenOf(await browser.get(login.path));
    const send = (more: object) => browser.post(`${login.path}/password`, { form, ...more });
    for (const more of [
      { username: '', password: randomToken() },
      { username: 'alice', password: '' },
      { username: 'a'.repeat(1_025), password: randomToken() },
      {},
    ])
      expect((await send(more)).status).toBe(401);
    expect((await send({ username: 'alice', password: randomToken() })).status).toBe(429);
  });
});

const codeBody = () => ({
  body: { id: 'a'.repeat(16), code: 'A'.repeat(16), verifier: randomToken(32) },
});

test('wrong passwords on pages and at a terminal count together for their user, whatever spelling they use', async () => {
  const { people, ask, replicas } = open;
  const person = await people.add('spelled');
  const from = replicas.gateways[0]?.output.lines.length;
  const spellings = ['spelled', 'SPELLED', ' spelled', 'Spelled'];
  for (const [index, name] of spellings.entries()) {
    const wrong = { name, password: randomToken() };
    const [login, browser] = [await beginLogin(open), createFormBrowser(open)];
    const sent =
      index === 1
        ? await ask({ body: { username: name, password: wrong.password, cluster: 'prod' } })
        : await sendPassword(browser, login, wrong);
    expect([name, sent.status]).toEqual([name, 401]);
  }
  expect((await people.slapd.operations()).bindsByDn.get(person.dn)).toBe(maxFailures);
  const lines = replicas.gateways[0]?.output.lines.slice(from) ?? [];
  const throttled = lines.filter(
    ({ reason, action }) => reason === 'throttled' && action === 'page-login',
  );
  expect(throttled).toHaveLength(1);
  // Their own right password was not seen before, so it has to wait as well.
  const [login, browser] = [await beginLogin(open), createFormBrowser(open)];
  expect((await sendPassword(browser, login, person)).status).toBe(401);
});

test('a thousand logins that no one goes on with leave no key in Redis, and others log in', async () => {
  const { redis, people } = open;
  const before = new Set(await redis.client().keys('*'));
  const begin = async (count: number) => {
    for (let index = 0; index < count; index += 1) {
      const { path } = await beginLogin(open);
      if (index % 10 === 0) await createFormBrowser(open).get(path);
    }
  };
  await Promise.all(Array.from({ length: 20 }, () => begin(50)));
  const keys = await redis.client().keys('*');
  expect(keys.filter((key) => !before.has(key))).toEqual([]);
  const { code, verifier } = await codeWithPassword(open, await people.add('undelayed'));
  tokenOf(await redeemCode(open, code, verifier));
});

describe('logins that one user begins with the right password', () => {
  // The directory refuses to be asked more than 20 times in a second, which is no limit of this.
  const untilLimited = (send: () => Promise<LoginAnswer>) =>
    waitFor(async () => (await send()).status === 429, 'logins of one user to be limited');

  test('are limited, as those that make a session are', async () => {
    const person = await open.people.add('eager');
    await untilLimited(async () =>
      sendPassword(createFormBrowser(open), await beginLogin(open), person),
    );
  });

  test('and lack the second factor are limited for each address', async () => {
    const person = await open.people.add('impatient');
    await writeFactor(open.redis, open.replicas.operator.env.SALLYPORT_CACHE_KEY ?? '', person);
    const from = async (localAddress: string) => {
      const here = { ask: open.ask, localAddress };
      return sendPassword(createFormBrowser(here), await beginLogin(here), person);
    };
    await untilLimited(() => from('127.0.1.12'));
    expect((await from('127.0.1.13')).headers.location).toMatch(/\/factor$/);
  });
});

describe.concurrent('a request', () => {
  test('that is huge, slow or broken costs its client an error, and no slot', async () => {
    const [login, browser] = [await beginLogin(open), createFormBrowser(open)];
    const form = formTokenOf(await browser.get(login.path));
    const path = `${login.path}/password`;
    const huge = await browser.post(path, {
      form,
      username: 'alice',
      password: 'x'.repeat(17_000),
    });
    expect([huge.status, titleOf(huge)]).toEqual([413, 'Request not understood']);
    const url = loginUrlOf(open.replicas.gateways[0] as Gateway);
    const head = (length: number) =>
      `POST ${path} HTTP/1.1\r\nHost: ${publicHost}\r\nOrigin: https://${publicHost}\r\n` +
      `Cookie: ${[...browser.cookies].map((pair) => pair.join('=')).join('; ')}\r\n` +
      `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${length}\r\n\r\n`;
    using slow = await openRawSocket(url);
    slow.send(`${head(100)}form=`);
    using headers = await openRawSocket(url);
    headers.send(
      `GET ${login.path} HTTP/1.1\r\nHost: ${publicHost}\r\nCookie: ${'x'.repeat(17 * 1_024)}\r\n\r\n`,
    );
    expect(await headers.closed()).toMatch(/^HTTP\/1\.1 431 /);
    const { code, verifier } = await codeWithPassword(open, await open.people.add('patient'));
    tokenOf(await redeemCode(open, code, verifier));
    expect(await slow.closed()).toMatch(/^HTTP\/1\.1 408 .*<h1>Request not understood<\/h1>/s);
  });
});

test('over HTTP/2, pages are the same, and cookies may come one by one', async () => {
  const authority = await createAuthority('login-authority');
  const { certificate, key } = await authority.issueServer({
    names: [`DNS:${publicHost}`, 'IP:127.0.0.1'],
  });
  await using secure = await startLogin({
    login: { browser: true, tls: { certFile: 'tls/login.crt', keyFile: 'tls/login.key' } },
    files: { 'tls/login.crt': certificate, 'tls/login.key': key },
  });
  using client = http2Client(loginUrlOf(secure.replicas.gateways[0] as Gateway), {
    authority: authority.certificate,
  });
  const ask: LoginPlace['ask'] = async ({
    method = 'POST',
    path = '/v1/sessions',
    body,
    headers,
  }) => {
    const { host: _, cookie, ...others } = headers ?? {};
    const content = typeof body === 'object' ? JSON.stringify(body) : body;
    const answer = await client.send({
      method,
      path,
      ...(content !== undefined && { body: content }),
      headers: {
        ':authority': publicHost,
        'content-type': content === undefined ? undefined : 'application/json',
        // RFC 9113, section 8.2.3.
        ...(cookie !== undefined && { cookie: cookie.split('; ') as unknown as string }),
        ...others,
      },
    });
    const json = answer.text.startsWith('{') ? JSON.parse(answer.text) : undefined;
    return { ...answer, json };
  };
  const first = await codeWithPassword({ ask }, secure.people.bob);
  const browser = createFormBrowser({ ask });
  browser.cookies.set('other', 'x');
  const login = await beginLogin({ ask }, { port: 50_125 });
  expect((await sendPassword(browser, login, secure.people.alice)).status).toBe(303);
  for (const path of ['/login/', `${login.path}/x`]) {
    const page = await browser.get(path);
    expect([page.status, titleOf(page), page.headers['x-frame-options']]).toEqual([
      404,
      'Page not found',
      'DENY',
    ]);
  }
  for (const headers of [
    { origin: 'https://evil.example.com' },
    { ':authority': 'evil.example.com' },
  ]) {
    const refused = await browser.post(`${login.path}/confirm`, { answer: 'redirect' }, headers);
    expect([headers, refused.status]).toEqual([headers, 403]);
  }
  const code = codeOf(await confirmLogin(browser, login, 'redirect'));
  const token = tokenOf(await redeemCode({ ask }, code, login.verifier));
  await waitFor(
    async () => (await secure.reviews(token)).every(({ authenticated }) => authenticated),
    'the session to be accepted',
  );
  expect((await redeemCode({ ask }, first.code, login.verifier)).status).toBe(401);
  expect(gateway.output.text()).not.toContain('request failed: a bug');
});
