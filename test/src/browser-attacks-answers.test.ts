import { toLdif } from '@sallyport/test-servers/ldif';
import { randomToken } from '@sallyport/test-servers/tokens';
import { describe, expect, test } from 'vitest';
import type { LoginAnswer } from './testing/ask-login.ts';
import {
  beginLogin,
  codeWithPassword,
  confirmLogin,
  createFormBrowser,
  formTokenOf,
  sendPassword,
  titleOf,
} from './testing/browser-login.ts';
import type { Gateway } from './testing/gateway.ts';
import { loginUrlOf, publicHost } from './testing/login-gateway.ts';
import { openRawSocket } from './testing/raw-socket.ts';
import { shareLogin } from './testing/shared-login.ts';

const place = await shareLogin();

/** What tries to leave the place where it is written: the markup, the path or the host. */
const hostile = {
  markup: `"><img src=x onerror=alert(1)>'&amp;`,
  path: '//evil.example.com/\\..',
  user: 'jane@evil.example.com:80',
};

const challenge = 'a'.repeat(43);
const begin = (more: object, headers = {}) =>
  place.ask({ path: '/v1/logins', body: { challenge, cluster: 'prod', ...more }, headers });

/** The places that a page leads to. */
function linksOf({ text }: LoginAnswer): readonly string[] {
  return [...text.matchAll(/\b(?:href|action|src|formaction)="([^"]*)"/g)].map(([, to = '']) => to);
}

describe.concurrent('an answer', () => {
  test('leads nowhere but to our own pages and to the port of the client', async () => {
    for (const port of ['50123', 0, -1, 65_536, 1.5, '80@evil.example.com', null, [80], true, {}]) {
      const answer = await begin({ port });
      expect([port, answer.status, answer.json?.code]).toEqual([port, 400, 'bad-request']);
    }
    for (const more of [
      { redirect: 'https://evil.example.com' },
      { redirect_uri: 'https://evil.example.com' },
      { host: 'evil.example.com', port: 80 },
      { cluster: 'evil.example.com' },
      { challenge: `${challenge}=` },
      { challenge: 'short' },
    ]) {
      expect([more, (await begin(more)).status]).toEqual([more, 400]);
    }
    const person = await place.people.add('redirects');
    const port = 50_123;
    for (const text of Object.values(hostile)) {
      const begun = { port, device: text, username: text };
      const [login, browser] = [await beginLogin(place, begun), createFormBrowser(place)];
      const { id, path } = login;
      const answers = [
        await browser.get(`${path}?next=//evil.example.com&port=80`),
        await browser.get(`${path}/confirm?next=//evil.example.com`),
        await sendPassword(browser, login, { ...person, password: randomToken() }),
        await sendPassword(browser, login, person),
        await browser.get(`${browser.at(path)}/confirm`),
        await confirmLogin(browser, login, 'redirect'),
        await confirmLogin(browser, login, 'code'),
        await confirmLogin(browser, login, 'cancel'),
      ];
      expect(answers.map(({ status }) => status)).toEqual([200, 303, 401, 303, 200, 303, 200, 303]);
      const own = new RegExp(
        `^(${path}(/password|/provider/(one|two))?|${browser.at(path)}/confirm|http://127\\.0\\.0\\.1:${port}/\\?(id=${id}&code=[\\dA-Z-]{19}|cancelled=${id}))$`,
      );
      for (const answer of answers) {
        const { location } = answer.headers;
        for (const to of [...linksOf(answer), ...(location === undefined ? [] : [location])])
          expect(to).toMatch(own);
      }
    }
    for (const path of [
      '//evil.example.com/login/x',
      '/login//evil.example.com',
      '/login/%2F%2Fevil.example.com',
      '/login/\\evil.example.com',
      '/login/https://evil.example.com/confirm',
      '/login/callback/okta?state=x&code=y',
    ]) {
      using socket = await openRawSocket(loginUrlOf(place.replicas.gateways[0] as Gateway));
      socket.send(`GET ${path} HTTP/1.1\r\nHost: ${publicHost}\r\nConnection: close\r\n\r\n`);
      const answer = await socket.closed();
      expect([path, answer.slice(0, 12), /^location:/im.test(answer)]).toEqual([
        path,
        'HTTP/1.1 404',
        false,
      ]);
    }
  });

  test('shows names as they are and as nothing else', async () => {
    const { people } = place;
    const { markup } = hostile;
    const password = randomToken();
    const value = markup.replaceAll(/[^\w]/g, (one) => `\\${one.charCodeAt(0).toString(16)}`);
    const attributes = { objectClass: ['account', 'simpleSecurityObject'], userPassword: password };
    const dn = `uid=${value},ou=people,${people.slapd.suffix}`;
    await people.slapd.add(toLdif([{ dn, attributes }]));
    const [login, browser] = [
      await beginLogin(place, { device: markup, username: markup }),
      createFormBrowser(place),
    ];
    const pages = [
      await browser.get(login.path),
      await sendPassword(browser, login, { name: markup, password: randomToken() }),
    ];
    expect((await sendPassword(browser, login, { name: markup, password })).status).toBe(303);
    pages.push(
      await browser.get(`${browser.at(login.path)}/confirm`),
      await confirmLogin(browser, login),
    );
    const escaped = '&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&#39;&amp;amp;';
    expect(pages.map(({ status }) => status)).toEqual([200, 401, 200, 200]);
    for (const { text } of pages) {
      expect(text).toContain(escaped);
      expect(text).not.toContain('<img');
      // The page that asks for a confirmation has a script of ours.
      expect(text.replace("<script>\n'use strict';", '')).not.toContain('<script');
    }
  });

  test('that is a page can be neither framed nor cached, runs no script of others, and says nothing of itself elsewhere', async () => {
    const person = await place.people.add('framed');
    const login = await beginLogin(place, { port: 50_124 });
    const { path } = login;
    const browser = createFormBrowser(place);
    const form = formTokenOf(await browser.get(path));
    const password = { form, username: person.name, password: person.password };
    const pages: Record<string, LoginAnswer> = {
      'the login': await browser.get(path),
      'wrong password': await browser.post(`${path}/password`, { ...password, password: 'x' }),
      'foreign form': await browser.post(`${path}/password`, { ...password, form: '' }),
      'foreign site': await browser.post(`${path}/password`, password, { origin: 'null' }),
      'foreign host': await browser.get(path, { host: 'evil.example.com' }),
      'other browser': await createFormBrowser(place).post(`${path}/password`, password),
      'wrong type': await browser.post(`${path}/password`, password, {
        'content-type': 'text/plain',
      }),
      'huge form': await browser.post(`${path}/password`, {
        ...password,
        more: 'x'.repeat(20_000),
      }),
      expired: await browser.get('/login/AAAA'),
      'not found': await browser.get('/login/'),
      'deep path': await browser.get(`${path}/confirm/x`),
      'wrong method': await place.ask({ method: 'PUT', path }),
      'unknown provider': await browser.get(`${path}/provider/okta`),
      home: await browser.get('/'),
    };
    await sendPassword(browser, login, person);
    const confirm = `${browser.at(path)}/confirm`;
    pages['the confirmation'] = await browser.get(confirm);
    const question = formTokenOf(pages['the confirmation']);
    pages['bad answer'] = await browser.post(confirm, { form: question, answer: 'x' });
    pages['the code'] = await confirmLogin(browser, login);
    pages['an earlier step'] = await browser.get(browser.at(path));
    pages['out of date'] = await browser.post(confirm, { form, answer: 'code' });
    await confirmLogin(browser, login, 'cancel');
    pages.used = await browser.post(confirm, { form: question, answer: 'code' });
    expect(Object.entries(pages).map(([what, { status }]) => [what, status])).toEqual([
      ['the login', 200],
      ['wrong password', 401],
      ['foreign form', 403],
      ['foreign site', 403],
      ['foreign host', 403],
      ['other browser', 403],
      ['wrong type', 415],
      ['huge form', 413],
      ['expired', 404],
      ['not found', 404],
      ['deep path', 404],
      ['wrong method', 405],
      ['unknown provider', 404],
      ['home', 200],
      ['the confirmation', 200],
      ['bad answer', 400],
      ['the code', 200],
      ['an earlier step', 200],
      ['out of date', 403],
      ['used', 409],
    ]);
    for (const [what, answer] of Object.entries(pages)) {
      const { 'content-security-policy': policy, ...headers } = answer.headers;
      expect([what, headers]).toEqual([
        what,
        expect.objectContaining({
          'content-type': 'text/html; charset=utf-8',
          'cache-control': 'no-store',
          'referrer-policy': 'same-origin',
          'x-frame-options': 'DENY',
          'x-content-type-options': 'nosniff',
          'cross-origin-opener-policy': 'same-origin',
          'cross-origin-resource-policy': 'same-origin',
          'strict-transport-security': 'max-age=31536000',
        }),
      ]);
      expect([what, policy]).toEqual([
        what,
        expect.stringMatching(
          ['the confirmation', 'the code'].includes(what)
            ? /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; script-src 'sha256-[\w+/]{43}='; form-action 'self' http:\/\/127\.0\.0\.1:50124; frame-ancestors 'none'; base-uri 'none'$/
            : /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; form-action 'self'( http:\/\/127\.0\.0\.1:50124)?; frame-ancestors 'none'; base-uri 'none'$/,
        ),
      ]);
      expect([what, titleOf(answer)]).not.toEqual([what, '']);
      expect(headers).not.toHaveProperty('access-control-allow-origin');
      // A link to a foreign server, a script or an image would be a request that the policy blocks.
      const rest = answer.text.replace("<script>\n'use strict';", '');
      expect([
        what,
        /<(script|img|iframe|link|object|base)\b|\bon\w+=|javascript:/i.test(rest),
      ]).toEqual([what, false]);
    }
    const other = await beginLogin(place);
    const head = await place.ask({ method: 'HEAD', path: other.path });
    expect([head.status, head.text]).toEqual([200, '']);
  });

  test('has URLs of publicUrl alone, and an address that no client can choose', async () => {
    const lies = {
      'x-forwarded-host': 'evil.example.com',
      'x-forwarded-proto': 'http',
      'x-forwarded-port': '80',
      forwarded: 'host=evil.example.com;proto=http;for=192.0.2.66',
      'x-forwarded-for': '192.0.2.66',
      'x-real-ip': '192.0.2.66',
      'x-original-url': '/login/evil',
    };
    const answer = await begin({}, lies);
    expect(answer.json?.url).toMatch(new RegExp(`^https://${publicHost}/login/[\\w-]{63}$`));
    const path = new URL(String(answer.json?.url)).pathname;
    const page = await createFormBrowser(place).get(path, lies);
    expect(page.text).toContain('<bdi>127.0.0.1</bdi>');
    expect(page.text).not.toMatch(/evil|192\.0\.2|http:/);
    expect(page.headers['set-cookie']?.[0]).toMatch(/^__Host-.*; Secure$/);
    // A browser at another address sees a warning, and a proxy that is trusted can say where it is.
    const elsewhere = createFormBrowser({ ...place, localAddress: '127.0.0.2' });
    expect((await elsewhere.get(path)).text).toContain('another address');
    const proxied = createFormBrowser({ ...place, localAddress: '127.0.0.9' });
    // Some servers read a header with an underscore as one with a dash.
    const forwarded = {
      'x-forwarded-for': '192.0.2.66, 127.0.0.1',
      x_forwarded_for: '192.0.2.66',
      forwarded: 'for=192.0.2.66',
    };
    expect((await proxied.get(path, forwarded)).text).not.toContain('another address');
    for (const host of [
      'evil.example.com',
      `${publicHost}.evil.example.com`,
      `${publicHost}:444`,
      `evil@${publicHost}`,
      '127.0.0.1',
    ]) {
      const refused = await createFormBrowser(place).get(path, { host });
      expect([host, refused.status, refused.headers['set-cookie']]).toEqual([host, 403, undefined]);
      expect((await begin({}, { host })).status).toBe(403);
    }
  });
});

test('the API refuses requests of every web page, also of our own', async () => {
  const { id, code, verifier } = await codeWithPassword(place, await place.people.add('api'));
  const origins = [`https://${publicHost}`, 'https://evil.example.com', 'null'];
  for (const origin of origins) {
    const headers = { origin, 'sec-fetch-site': 'same-origin' };
    for (const request of [
      { path: '/v1/logins', body: { challenge, cluster: 'prod' } },
      { path: '/v1/sessions', body: { id, code, verifier } },
      { method: 'GET', path: '/v1/clusters' },
      { method: 'DELETE', path: '/v1/session', token: randomToken() },
    ]) {
      const answer = await place.ask({ ...request, headers });
      expect([origin, answer.status, answer.json?.code]).toEqual([origin, 403, 'forbidden']);
      expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
    }
  }
  expect((await place.ask({ method: 'OPTIONS', path: '/v1/logins' })).status).toBe(405);
});
