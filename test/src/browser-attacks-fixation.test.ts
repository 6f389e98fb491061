import { secret } from '@sallyport/test-servers/tokens';
import { describe, expect, test } from 'vitest';
import {
  type BegunLogin,
  beginLogin,
  codeOf,
  confirmLogin,
  createFormBrowser,
  type FormBrowser,
  formTokenOf,
  redeemCode,
  sendPassword,
  stepOf,
  titleOf,
  tokenOf,
} from './testing/browser-login.ts';
import { goToProvider, logInAtProvider } from './testing/provider-login.ts';
import { type App, enrolApp } from './testing/second-factor.ts';
import { shareLogin } from './testing/shared-login.ts';

// Another service on the same host name, on whatever port, can set the cookie of a login, and browsers send it the cookie.

const place = await shareLogin();
const { one: sso } = place.providers;
sso.forge({});

test('check warns of an API server that has the host name of the login server', async () => {
  const { stdout } = await place.replicas.operator.run(['check', '-o', 'json']);
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly object[] };
  expect(findings).toContainEqual(
    expect.objectContaining({
      check: 'login',
      result: 'warning',
      detail: expect.stringMatching(
        /^login\.publicUrl and login\.clusters\.sibling\.server have the same host name \(login\.example\.com\): .*: give the login server a host name that no other service has$/,
      ),
    }),
  );
});

/** A browser at a replica with the cookies that another one has now. */
function withCookiesOf({ cookies }: FormBrowser, at = 0): FormBrowser {
  const browser = createFormBrowser({ ...place, at });
  for (const [name, value] of cookies) browser.cookies.set(name, value);
  return browser;
}

/** A browser of an attacker that has opened the page of a login, and a victim's browser with its cookie. */
async function plantedBrowsers() {
  const [login, attacker] = [await beginLogin(place), createFormBrowser(place)];
  await attacker.get(login.path);
  return { login, attacker, victim: withCookiesOf(attacker) };
}

/** Checks that a browser with the link gets nothing of the login that another one has proved. */
async function expectNothing(browser: FormBrowser, { path }: Pick<BegunLogin, 'path'>) {
  for (const page of ['confirm', 'factor', 'factors']) {
    const { status, headers } = await browser.get(`${path}/${page}`);
    expect([page, status, headers.location]).toEqual([page, 303, path]);
  }
  const form = formTokenOf(await browser.get(path));
  for (const answer of ['code', 'redirect', 'cancel']) {
    const { status, headers } = await browser.post(`${path}/confirm`, { form, answer });
    expect([answer, status, headers.location]).toEqual([answer, 409, undefined]);
  }
  for (const [page, values] of [
    ['factor', { code: '123456' }],
    ['passkey', { response: '{}' }],
    ['factors', { action: 'recovery' }],
  ] as const) {
    const { headers } = await browser.post(`${path}/${page}`, { form, ...values });
    expect([page, headers.location]).toEqual([page, path]);
  }
}

async function expectSession(browser: FormBrowser, login: BegunLogin): Promise<void> {
  const code = codeOf(await confirmLogin(browser, login));
  tokenOf(await redeemCode(place, code, login.verifier));
}

const proofs = [
  {
    name: 'a password',
    prove: async (browser: FormBrowser, login: BegunLogin) =>
      sendPassword(browser, login, await place.people.add(`victim-${login.id}`)),
  },
  {
    name: 'the answer of a provider',
    prove: (browser: FormBrowser, login: BegunLogin) =>
      logInAtProvider(browser, login, 'one', (url) => sso.visit(url)),
  },
] as const;

describe.each(proofs)('after $name', ({ prove }) => {
  test('the browser whose cookie was planted can neither see, confirm nor cancel the login', async () => {
    const { login, attacker, victim } = await plantedBrowsers();
    expect(stepOf(await prove(victim, login))).toBe('confirm');
    for (const at of [0, 1]) await expectNothing(withCookiesOf(attacker, at), login);
    // It can't know the path of the confirmation, but might.
    const path = victim.at(login.path);
    expect((await attacker.get(`${path}/confirm`)).headers.location).toBe(path);
    await expectSession(victim, login);
  });

  test('a service that receives the cookie can neither see, confirm nor cancel the login without the path', async () => {
    const [login, victim] = [await beginLogin(place), createFormBrowser(place)];
    expect(stepOf(await prove(victim, login))).toBe('confirm');
    for (const at of [0, 1]) await expectNothing(withCookiesOf(victim, at), login);
    await expectSession(victim, login);
  });
});

/** Adds a person with an app. */
async function addWithApp(name: string) {
  const person = await place.people.add(name);
  const post = async (path: string, body: object) => {
    const { status, json = {} } = await place.ask({ path, body });
    return { status, json };
  };
  return { person, ...(await enrolApp({ place, post }, person)) };
}

async function sendCode(browser: FormBrowser, path: string, app: App) {
  const form = formTokenOf(await browser.get(`${path}/factor`));
  return browser.post(`${path}/factor`, { form, code: await app.code() });
}

test('who knows the password and plants the cookie and the path gets nothing of the code that another browser sends', async () => {
  const { person, app } = await addWithApp('second');
  const [login, attacker] = [await beginLogin(place), createFormBrowser(place)];
  expect(stepOf(await sendPassword(attacker, login, person))).toBe('factor');
  const path = attacker.at(login.path);
  const victim = withCookiesOf(attacker);
  expect(stepOf(await sendCode(victim, path, app))).toBe('confirm');
  for (const one of [attacker, withCookiesOf(victim, 1)])
    for (const page of ['confirm', 'factor'])
      expect((await one.get(`${path}/${page}`)).headers.location).toBe(path);
  await expectSession(victim, { ...login, path: victim.at(path) });
});

test('at the list of second factors, neither a planted cookie nor a received one shows or changes anything', async () => {
  const { person, app } = await addWithApp('visitor');
  const attacker = createFormBrowser(place);
  const path = (await attacker.get('/login/factors')).headers.location ?? '';
  secret(path.slice('/login/'.length));
  await attacker.get(path);
  const victim = withCookiesOf(attacker);
  expect(stepOf(await sendPassword(victim, { path }, person))).toBe('factor');
  await expectNothing(attacker, { path });
  const asked = victim.at(path);
  const before = withCookiesOf(victim);
  expect(stepOf(await sendCode(victim, asked, app))).toBe('factors');
  for (const one of [attacker, before, withCookiesOf(victim, 1)]) {
    await expectNothing(one, { path });
    expect((await one.get(`${asked}/factors`)).headers.location).toBe(asked);
  }
  // The victim goes on.
  const factors = `${victim.at(path)}/factors`;
  const form = formTokenOf(await victim.get(factors));
  const renewed = await victim.post(factors, { form, action: 'recovery' });
  for (const [code] of renewed.text.matchAll(/\b[a-z2-7]{5}-[a-z2-7]{5}\b/g)) secret(code);
  expect([renewed.status, titleOf(renewed)]).toEqual([200, 'Your recovery codes']);
});

test('a link of another site or port does not send the browser to a provider, and the page says what to do', async () => {
  const [login, browser] = [await beginLogin(place), createFormBrowser(place)];
  await browser.get(login.path);
  const link = `${login.path}/provider/one`;
  const visits = sso.tokenRequests.length;
  for (const from of ['cross-site', 'same-site', 'of a browser to come']) {
    const answer = await browser.get(link, { 'sec-fetch-site': from });
    expect([from, answer.status, titleOf(answer), answer.headers.location]).toEqual([
      from,
      403,
      'Link of another site',
      undefined,
    ]);
    expect(answer.text).toContain(`href="${login.path}"`);
  }
  expect(sso.tokenRequests).toHaveLength(visits);
  // Old browsers send no such header. With an address that was typed, it is `none`.
  for (const from of ['same-origin', 'none', undefined])
    expect((await browser.get(link, { 'sec-fetch-site': from })).status).toBe(303);
});

describe('a cancel', () => {
  test('that is answered as done leaves no code that makes a session, whatever another replica does at the same moment', async () => {
    const person = await place.people.add('racer');
    for (let round = 0; round < 20; round += 1) {
      const [login, browser] = [await beginLogin(place), createFormBrowser(place)];
      await sendPassword(browser, login, person);
      const confirm = `${browser.at(login.path)}/confirm`;
      const form = formTokenOf(await browser.get(confirm));
      const send = (answer: string, at: number) =>
        withCookiesOf(browser, at).post(confirm, { form, answer });
      const confirming = [1, 0, 1].map((at) => send('code', at));
      const cancelled = await send('cancel', 0);
      expect([cancelled.status, titleOf(cancelled)]).toEqual([200, 'Login cancelled']);
      for (const answer of await Promise.all(confirming))
        if (answer.status === 200)
          expect((await redeemCode(place, codeOf(answer), login.verifier)).status).toBe(401);
    }
  });

  test('of a login that has a session says that it came too late', async () => {
    const person = await place.people.add('late-cancel');
    const [login, browser] = [await beginLogin(place, { port: 50_126 }), createFormBrowser(place)];
    await sendPassword(browser, login, person);
    const confirm = `${browser.at(login.path)}/confirm`;
    const form = formTokenOf(await browser.get(confirm));
    const code = codeOf(await browser.post(confirm, { form, answer: 'code' }));
    tokenOf(await redeemCode(place, code, login.verifier));
    const late = await browser.post(confirm, { form, answer: 'cancel' });
    expect([late.status, titleOf(late), late.headers.location]).toEqual([
      409,
      'Login already finished',
      undefined,
    ]);
    expect(late.text).toContain('before you cancelled it');
  });
});

test('a browser that leaves many logins at a provider can begin and finish another one', async () => {
  const browser = createFormBrowser(place);
  const device = 'd'.repeat(64);
  for (let count = 0; count < 40; count += 1)
    await goToProvider(browser, await beginLogin(place, { device, username: device }), 'one');
  const login = await beginLogin(place);
  expect(stepOf(await logInAtProvider(browser, login, 'one', (url) => sso.visit(url)))).toBe(
    'confirm',
  );
  await expectSession(browser, login);
  expect(browser.cookies.size).toBe(8);
});
