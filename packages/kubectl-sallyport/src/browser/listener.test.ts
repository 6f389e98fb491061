import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { codePath, visit } from '../testing/browser-login-server.ts';
import { openListener, readCode } from './listener.ts';
import { type Page, pages } from './pages.ts';

const id = 'abcdefghijklmnop';
const url = 'https://login.example.com:8444/login/sealed';
const pendingLogin = { id, url };
const code = '7K3MABCDEFGHJKMN';
const withCode = codePath({ id }, code);
const navigation = {
  'sec-fetch-site': 'cross-site',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
};

async function listening(limits?: Parameters<typeof openListener>[0]) {
  const listener = await openListener(limits);
  onTestFinished(() => listener.close());
  const visits: object[] = [];
  const start = (page: Page = pages.loggedIn) =>
    listener.waitFor({
      ...pendingLogin,
      onVisit: async (one) => {
        visits.push(one);
        return page;
      },
    });
  return { ...listener, visits, start };
}

test.each([
  { who: 'a browser', headers: navigation },
  { who: 'a browser without metadata of requests', headers: {} },
])('$who brings a code, or says that the user cancelled', async ({ headers }) => {
  const { port, visits, start } = await listening();
  start();
  const { status, headers: answer, html } = await visit(port, withCode, { headers });
  expect([status, answer.location, html]).toEqual([
    303,
    'https://login.example.com:8444/login/done/logged-in',
    '',
  ]);
  await visit(port, `/?cancelled=${id}`, { headers });
  expect(visits).toEqual([{ kind: 'code', code }, { kind: 'cancelled' }]);
});

type Options = NonNullable<Parameters<typeof visit>[2]>;

test.each<{ what: string; path: string; options?: Options }>([
  { what: 'a form', path: withCode, options: { method: 'POST' } },
  { what: 'a preflight', path: withCode, options: { method: 'OPTIONS' } },
  { what: 'another path', path: `/callback${withCode.slice(1)}` },
  { what: 'two slashes', path: `/${withCode}` },
  { what: 'a whole URL', path: `http://127.0.0.1${withCode}` },
  { what: 'the favicon', path: '/favicon.ico' },
  { what: 'no code', path: '/' },
  { what: 'another word', path: `${withCode}&state=1` },
  { what: 'two codes', path: `${withCode}&code=${code}` },
  { what: 'another name', path: withCode.replace('code=', 'token=') },
  { what: 'a code of another login', path: codePath({ id: 'b'.repeat(16) }, code) },
  { what: 'a code without an ID', path: `/?code=${code}` },
  { what: 'a code with an empty ID', path: codePath({ id: '' }, code) },
  { what: 'a short code', path: withCode.slice(0, -1) },
  { what: 'a long code', path: `${withCode}0` },
  { what: 'a code with another letter', path: `${withCode.slice(0, -1)}U` },
  { what: 'the end of another login', path: `/?cancelled=${'b'.repeat(16)}` },
  { what: 'the end of all logins', path: '/?cancelled=' },
  { what: 'the name localhost', path: withCode, options: { host: 'localhost' } },
  { what: 'a name that leads here', path: withCode, options: { host: 'evil.example' } },
  { what: 'no port', path: withCode, options: { host: '127.0.0.1' } },
  {
    what: 'a script of a page',
    path: withCode,
    options: { headers: { origin: 'https://evil.example' } },
  },
  {
    what: 'an opaque origin',
    path: withCode,
    options: { headers: { ...navigation, origin: 'null' } },
  },
  {
    what: 'an image',
    path: withCode,
    options: { headers: { 'sec-fetch-mode': 'no-cors' } },
  },
  { what: 'a fetch', path: withCode, options: { headers: { 'sec-fetch-mode': 'cors' } } },
  {
    what: 'a frame',
    path: withCode,
    options: { headers: { ...navigation, 'sec-fetch-dest': 'iframe' } },
  },
  {
    what: 'a prefetch',
    path: `/?cancelled=${id}`,
    options: { headers: { ...navigation, 'sec-fetch-dest': 'empty' } },
  },
])('$what is answered and ignored', async ({ path, options }) => {
  const { port, visits, start } = await listening();
  start();
  const host = options?.host === 'localhost' ? { host: `localhost:${port}` } : {};
  const answer = await visit(port, path, { ...options, ...host });
  expect([answer.status, visits]).toEqual([400, []]);
  if (options?.method !== 'HEAD')
    expect(answer.html).toContain('No login waits for this address. You can close this page.');
});

test('before the login has begun, and for an empty ID, everyone is ignored', async () => {
  const { port, visits } = await listening();
  for (const path of [withCode, `/?cancelled=${id}`, '/?cancelled=', codePath({ id: '' }, code)])
    expect((await visit(port, path)).status).toBe(400);
  expect(visits).toEqual([]);
});

test('pages have no script, are in no frame and in no cache, and show names as text', async () => {
  const { port, start } = await listening();
  start(pages.otherUser('corp:<b>"&\u202e', 'jane'));
  for (const path of [withCode, '/']) {
    const { headers, html } = await visit(port, path);
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': expect.stringMatching(
        /^default-src 'none'; style-src 'sha256-\S+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
      ),
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      connection: 'close',
    });
    expect(html).not.toMatch(/<script|<b>|\u202e|https?:/);
  }
  const { html } = await visit(port, withCode);
  expect(html).toContain('but corp:&#60;b&#62;&#34;&#38;\u{fffd} logged in.');
});

test('a code is read as people type it, and has one spelling', () => {
  for (const typed of [code, ' 7k3m abcd-efgh-jkmn', '7K3M-ABCD-EFGH-JKMN\r'])
    expect(readCode(typed)).toBe(code);
  expect(readCode('oOiI-lL01-2345-6789')).toBe('0011110123456789');
  for (const other of ['', code.slice(1), `${code}0`, `${code.slice(1)}U`, `${code.slice(1)}.`])
    expect(readCode(other)).toBeUndefined();
});

test('it listens on this machine alone, and on 127.0.0.1', async () => {
  const { port } = await listening();
  const other = connect(port, '127.0.0.2');
  const [error] = await once(other, 'error');
  expect(error.code).toBe('ECONNREFUSED');
});

const limits = {
  maxConnections: 2,
  maxHeaderSize: 1_000,
  headersTimeout: 20,
  requestTimeout: 20,
  connectionsCheckingInterval: 10,
};

test.each(['', 'GET / HTTP/1.1\r\nHost: '])(
  'a client that sends %j and no more is disconnected',
  async (text) => {
    const { port } = await listening(limits);
    const socket = connect(port, '127.0.0.1');
    socket.resume().write(text);
    await once(socket, 'close');
  },
);

test('long headers are refused', async () => {
  const long = await listening(limits);
  const cookie = 'x'.repeat(2_000);
  expect((await visit(long.port, '/', { headers: { cookie } })).status).toBe(431);
});

test('one connection too many ends the oldest: idle ones do not keep the code away', async () => {
  const slow = { ...limits, headersTimeout: 60_000, requestTimeout: 60_000 };
  const { port, visits, start } = await listening(slow);
  start();
  const idle = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')];
  onTestFinished(() => idle.forEach((socket) => void socket.destroy()));
  await Promise.all(idle.map((socket) => once(socket.resume(), 'connect')));
  const ended = once(idle[0] as Socket, 'close');
  expect((await visit(port, withCode)).status).toBe(303);
  await ended;
  expect(idle.map(({ destroyed }) => destroyed)).toEqual([true, false]);
  expect(visits).toEqual([{ kind: 'code', code }]);
});

test('connections that come during the exchange of a code do not keep its page away', async () => {
  const { port, waitFor } = await listening(limits);
  const exchange = Promise.withResolvers<typeof pages.refused>();
  const visited = Promise.withResolvers<void>();
  waitFor({
    ...pendingLogin,
    onVisit() {
      visited.resolve();
      return exchange.promise;
    },
  });
  const shown = visit(port, withCode);
  await visited.promise;
  const idle = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').resume());
  onTestFinished(() => idle.forEach((socket) => void socket.destroy()));
  await Promise.all(idle.slice(0, 2).map((socket) => once(socket, 'close')));
  exchange.resolve(pages.refused);
  expect(await shown).toMatchObject({ status: 303 });
});

test('the end closes all connections, but a page is sent before', async () => {
  const listener = await openListener();
  const page = Promise.withResolvers<typeof pages.failed>();
  const visited = Promise.withResolvers<void>();
  listener.waitFor({
    ...pendingLogin,
    onVisit: () => {
      visited.resolve();
      return page.promise;
    },
  });
  const idle = connect(listener.port, '127.0.0.1').resume();
  await once(idle, 'connect');
  idle.write('GET / HTTP/1.1\r\n');
  const answer = visit(listener.port, withCode);
  await visited.promise;
  const closed = listener.close();
  page.resolve(pages.failed);
  expect(await answer).toMatchObject({ status: 500, html: expect.stringContaining('</html>') });
  await Promise.all([closed, idle.destroyed || once(idle, 'close')]);
  const late = connect(listener.port, '127.0.0.1');
  expect((await once(late, 'error'))[0].code).toBe('ECONNREFUSED');
});
