import { createPasskey } from '@sallyport/test-servers/passkey';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoginAnswer } from './testing/ask-login.ts';
import { shareBrowser, type WatchedPage, watchedPage } from './testing/browser.ts';
import {
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
import { newDesk } from './testing/kubectl-user.ts';
import { type Site, startSite } from './testing/login-client.ts';
import {
  addDevice,
  addPasskey,
  button,
  createApp,
  enrolApp,
  invite,
  openFactors,
  optionsOf,
  ownAddress,
  placeOf,
  submit,
  submitPassword,
  untilHeading,
  withKubectl,
} from './testing/second-factor.ts';

let site: Site;
let browser: Browser;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  browser = await shareBrowser();
  const methods = ['totp', 'passkey'];
  site = resources.use(
    await startSite(
      {
        count: 2,
        login: {
          browser: true,
          // Each test has an address of its own, which has sent no wrong password.
          limits: { perAddress: '8/h' },
          trustedProxies: ['127.0.0.1'],
        },
        secondFactor: { required: 'all', methods },
      },
      undefined,
      'localhost',
    ),
  );
});
afterAll(() => resources.disposeAsync());

type Person = Awaited<ReturnType<Site['place']['people']['add']>>;

/** What a person sees of an answer: its status, and the title of the page. */
const shown = (answer: LoginAnswer) => [answer.status, titleOf(answer)];

const add = (name: string) => site.place.people.add(name, `k8s-${name}`);

describe('a person at a browser', () => {
  /** Opens a window, at an address of its own. */
  const openWindow = (options: object = {}): Promise<WatchedPage> =>
    watchedPage(browser, { ignoreHTTPSErrors: true, extraHTTPHeaders: ownAddress(), ...options });

  const names = (page: Page) =>
    page.getByRole('listitem').getByRole('heading', { level: 2 }).allTextContents();

  test('goes from an invitation to kubectl: with an app and its code, which is valid once on all replicas', async () => {
    const person = await add('app');
    const { url } = await invite(site.place, person);
    await using window = await openWindow();
    const { page } = window;
    await page.goto(url);
    await submitPassword(page, person);
    await untilHeading(page, 'Your second factors');
    await page.getByLabel('Name of the app').fill("jane's <b>phone</b>");
    await button(page, 'Add an app').click();
    await untilHeading(page, 'Add an authenticator app');
    const app = createApp((await page.locator('.secret').textContent()) ?? '');
    await page.getByLabel('Code from the app').fill(await app.code());
    await page.keyboard.press('Enter');
    await untilHeading(page, 'Your recovery codes');
    const codes = await page.locator('.codes code').allTextContents();
    expect(new Set(codes.map(secret)).size).toBe(10);
    await page.getByRole('link').click();
    await untilHeading(page, 'Your second factors');
    expect(await names(page)).toEqual(["jane's <b>phone</b>"]);
    expect(await page.content()).not.toContain(codes[0]);
    // The browser has kept nothing of the page.
    await expect(page.goBack()).rejects.toThrow('ERR_CACHE_MISS');

    const desk = await newDesk(site);
    const code = await app.code();
    await withKubectl(desk, page, person, async () => {
      await page.getByLabel('Code from your authenticator app').fill(code);
      await page.keyboard.press('Enter');
    });
    const { password } = person;
    const again = { username: person.name, password, cluster: 'prod', code };
    const { ask } = placeOf(site);
    for (const at of [0, 1])
      expect([at, (await ask({ body: again }, at)).json?.code]).toEqual([at, 'wrong-credentials']);
    const [recovery = ''] = codes;
    tokenOf(await ask({ body: { ...again, code: recovery } }, 1));
    expect((await ask({ body: { ...again, code: recovery } })).status).toBe(401);
    expect(window.complaints).toEqual([]);
  });

  test('adds passkeys, logs in with one while kubectl waits, and removes all but the last', async () => {
    const person = await add('passkey');
    const { app, recoveryCodes } = await enrolApp(site, person);
    await using window = await openWindow();
    const { page } = window;
    const device = await addDevice(page);
    await openFactors(page, site, person, await app.code());
    await addPasskey(page, 'laptop');
    // The device says that it has one already. Another device has none.
    await page.getByLabel('Name of the passkey').fill('again');
    await button(page, 'Add a passkey').click();
    await page.getByRole('alert').filter({ hasText: 'already has a passkey' }).waitFor();
    await device.remove();
    await addDevice(page);
    await addPasskey(page, 'key ring');
    expect(await names(page)).toEqual(['phone', 'laptop', 'key ring']);

    const desk = await newDesk(site);
    const usePasskey = () => button(page, 'Use a passkey').click();
    await withKubectl(desk, page, person, usePasskey);
    await openFactors(page, site, person, recoveryCodes[0] ?? '');
    expect(await page.getByRole('listitem').last().textContent()).not.toContain('Never');
    for (const name of ['phone', 'laptop']) {
      await submit(page, `Remove ${name}`);
      await page.getByText('The second factor was removed. Sessions that').waitFor();
    }
    expect(await names(page)).toEqual(['key ring']);
    await page.getByText('This is your only second factor.').waitFor();
    expect(await page.getByRole('button', { name: /^Remove/ }).count()).toBe(0);
    expect(await desk.sallyport(['logout'])).toMatchObject({ code: 0 });
    await withKubectl(desk, page, person, usePasskey, 2);
    expect(window.complaints).toEqual([]);

    // The page has a script. No other one runs, wherever it comes from.
    await page.goto(`${site.url}/login/factors`);
    await submitPassword(page, person);
    await untilHeading(page, 'Use your second factor');
    await page.evaluate(() => {
      const script = document.createElement('script');
      script.textContent = 'document.title = "attacked"';
      document.body.append(script);
      document.body.insertAdjacentHTML('beforeend', '<img src="x" onerror="document.title=1">');
    });
    await waitFor(() => window.complaints.length >= 2, 'the violations of the policy');
    expect(window.complaints.join('\n')).toContain('Content Security Policy');
    expect(await page.title()).toContain('Second factor');
  });
});

describe('a browser that sends what no browser sends', () => {
  /** A browser at one of the replicas, with the cookies of another one. */
  const atReplica = (place: ReturnType<typeof placeOf>, { cookies }: FormBrowser, at: number) => {
    const other = createFormBrowser({ ...place, at });
    for (const [name, value] of cookies) other.cookies.set(name, value);
    return other;
  };

  /** Adds a person with an app and a passkey. @param code of the app, or a recovery code */
  async function addWithKey(name: string) {
    const person = await add(name);
    const { app, recoveryCodes } = await enrolApp(site, person);
    const place = placeOf(site);
    const visitor = createFormBrowser(place);
    const visit = await manage(visitor, person, await app.code());
    const key = createPasskey(site.url);
    const list = await visitor.get(`${visit}/factors`);
    const form = formTokenOf(list);
    const addKey = (label: string, one = key) =>
      visitor.post(`${visit}/factors`, {
        form,
        action: 'passkey',
        label,
        response: one.create(optionsOf(list)),
      });
    expect(stepOf(await addKey('laptop'))).toBe('factors?added');
    // Its challenge is used up.
    expect((await addKey('again', createPasskey(site.url))).status).toBe(401);
    return { person, place, key, recoveryCodes, visitor, visit, form };
  }

  async function manage(visitor: FormBrowser, person: Person, code: string): Promise<string> {
    const path = (await visitor.get('/login/factors')).headers.location ?? '';
    secret(path.slice('/login/'.length));
    expect(stepOf(await sendPassword(visitor, { path }, person))).toBe('factor');
    const factor = `${visitor.at(path)}/factor`;
    const form = formTokenOf(await visitor.get(factor));
    expect(stepOf(await visitor.post(factor, { form, code }))).toBe('factors');
    return visitor.at(path);
  }

  /** Goes from the password to the question for a factor. */
  async function untilFactor(place: ReturnType<typeof placeOf>, person: Person) {
    const [login, visitor] = [await beginLogin(place), createFormBrowser(place)];
    expect(stepOf(await sendPassword(visitor, login, person))).toBe('factor');
    const path = visitor.at(login.path);
    const asked = await visitor.get(`${path}/factor`);
    const [form, options] = [formTokenOf(asked), optionsOf(asked)];
    const send = (response: string, by = visitor) => by.post(`${path}/passkey`, { form, response });
    return { ...login, path, visitor, form, options, send };
  }

  const refused = [401, 'Passkey not accepted'];
  test('proves nothing with a passkey of another user, for another page, without a PIN, or sent again', async () => {
    const [mine, other] = [await addWithKey('mine'), await addWithKey('other')];
    const { person, key } = mine;
    const place = placeOf(site);
    const login = await untilFactor(place, person);
    const elsewhere = await untilFactor(place, person);
    // Each of these uses up the challenge of the page, and gets another one.
    let { options } = login;
    const attacks = [
      () => other.key.get(options),
      () => other.key.get(options, { id: key.id }),
      () => key.get(elsewhere.options),
      () => key.get(options, { origin: 'https://evil.example.com' }),
      () => key.get(options, { rpId: 'evil.example.com' }),
      () => key.get(options, { isVerified: false }),
    ];
    for (const attack of attacks) {
      const answer = await login.send(attack());
      expect(shown(answer)).toEqual(refused);
      options = optionsOf(answer);
    }
    // A refused response costs as much as a wrong password, so this address has two guesses left.
    const right = key.get(options);
    expect(shown(await login.send(key.get(options, { isVerified: false })))).toEqual(refused);
    expect(shown(await login.send(right))).toEqual(refused);
    const limited = await login.send(key.get(options));
    expect([limited.status, titleOf(limited)]).toEqual([429, 'Too many attempts']);

    const again = await untilFactor(placeOf(site), person);
    const response = key.get(again.options);
    expect(stepOf(await again.send(response))).toBe('confirm');
    // It was right once. It is for no other login, and for no other page of this one.
    const next = await untilFactor(placeOf(site), person);
    let page = await next.send(response);
    for (const attack of [() => createPasskey(site.url).get(optionsOf(page)), () => '']) {
      expect(shown(page)).toEqual(refused);
      page = await next.send(attack());
    }
    expect(shown(page)).toEqual(refused);
    // The page of the factor is over.
    expect(shown(await again.send(response))).toEqual([403, 'Page out of date']);
    const code = codeOf(await confirmLogin(again.visitor, again));
    tokenOf(await redeemCode(placeOf(site), code, again.verifier));
  });

  test('skips no step, whatever address it asks for, and gets no code before the factor', async () => {
    const { person, key, place } = await addWithKey('steps');
    const login = await untilFactor(place, person);
    const { path, visitor, form } = login;
    const factor = `${path}/factor`;
    const to = async (answer: Promise<{ readonly headers: { location?: string | undefined } }>) =>
      (await answer).headers.location;
    expect(await to(visitor.get(`${path}/confirm`))).toBe(factor);
    expect(await to(visitor.get(`${path}/factors`))).toBe(factor);
    for (const answer of ['code', 'redirect'])
      expect(await to(visitor.post(`${path}/confirm`, { form, answer }))).toBe(factor);
    for (const action of ['app', 'app-code', 'passkey', 'remove', 'recovery'])
      expect(await to(visitor.post(`${path}/factors`, { form, action }))).toBe(factor);
    // Another browser knows the address alone.
    const stranger = createFormBrowser(place);
    for (const page of ['factor', 'factors', 'confirm'])
      expect(await to(stranger.get(`${path}/${page}`))).toBe(path);
    expect((await login.send(key.get(login.options), stranger)).status).toBe(403);
    const foreign = formTokenOf(await stranger.get(path));
    for (const page of ['factor', 'passkey', 'factors']) {
      const values = { form: foreign, response: key.get(login.options), action: 'recovery' };
      expect(await to(stranger.post(`${path}/${page}`, values))).toBe(path);
      for (const bad of [{ form: foreign }, { form: '' }])
        expect((await visitor.post(`${path}/${page}`, { ...values, ...bad })).status).toBe(403);
      const site = { origin: 'https://evil.example.com', 'sec-fetch-site': 'cross-site' };
      expect((await visitor.post(`${path}/${page}`, { ...values, form }, site)).status).toBe(403);
    }
    // The other replica knows the challenge, too.
    const response = key.get(login.options);
    const other = atReplica(place, visitor, 1);
    expect(stepOf(await login.send(response, other))).toBe('confirm');
    expect((await other.get(`${other.at(path)}/confirm`)).status).toBe(200);
    expect(await to(other.get(`${other.at(path)}/factor`))).toBe(`${other.at(path)}/confirm`);
    // Who goes back reads what to do.
    expect(await to(other.get(factor))).toBe(path);
    expect(shown(await other.get(path))).toEqual([200, 'Log in again']);
  });

  test('proves nothing about another user who logs in after the page was shown', async () => {
    const [victim, attacker] = [await addWithKey('victim'), await addWithKey('attacker')];
    const login = await untilFactor(attacker.place, attacker.person);
    const { visitor, options } = login;
    // The attacker knows the password of the victim, and logs in with it in the same browser.
    expect(stepOf(await sendPassword(visitor, login, victim.person))).toBe('factor');
    const path = visitor.at(login.path);
    const form = formTokenOf(await visitor.get(`${path}/factor`));
    const own = attacker.key.get(options);
    expect(shown(await login.send(own))).toEqual([403, 'Page out of date']);
    const sent = await visitor.post(`${path}/passkey`, { form, response: own });
    expect(shown(sent)).toEqual(refused);
    const [code = ''] = attacker.recoveryCodes;
    const proved = await visitor.post(`${path}/factor`, { form, code });
    expect(shown(proved)).toEqual([401, 'Wrong code']);
    expect((await visitor.get(`${path}/confirm`)).headers.location).toBe(`${path}/factor`);
  });

  test('does not see who has a factor without the right password', async () => {
    const [none, has] = [await add('none'), await add('has')];
    await enrolApp(site, has);
    const place = placeOf(site);
    const titles: unknown[] = [];
    for (const person of [none, has, { name: 'nobody', password: randomToken() }]) {
      const [login, visitor] = [await beginLogin(place), createFormBrowser(place)];
      const wrong = { name: person.name, password: randomToken() };
      titles.push(shown(await sendPassword(visitor, login, wrong)));
    }
    expect(new Set(titles.map((one) => JSON.stringify(one))).size).toBe(1);
    expect(titles[0]).toEqual([401, 'Wrong name or password']);
  });
});

describe('a link to change factors', () => {
  const open = async (visitor: FormBrowser, code = '') => {
    const answer = await visitor.get(`/login/factors${code && `/${code}`}`);
    const path = answer.headers.location ?? '';
    secret(path.slice('/login/'.length));
    return { path };
  };
  test('is for the user who was invited, and is used up by a factor alone', async () => {
    const [person, other] = [await add('invited'), await add('uninvited')];
    const { code } = await invite(site.place, person);
    const place = placeOf(site);
    const visitor = createFormBrowser(place);
    // A scanner of mail opens it, and sends what it finds.
    for (let round = 0; round < 3; round += 1) await visitor.get((await open(visitor, code)).path);
    expect(shown(await sendPassword(visitor, await open(visitor), other))).toEqual([
      401,
      'Invitation required',
    ]);
    expect(shown(await sendPassword(visitor, await open(visitor, code), other))).toEqual([
      401,
      'Invitation not valid',
    ]);
    const [visit, tab] = [await open(visitor, code), await open(visitor, code)];
    for (const { path } of [visit, tab])
      expect(stepOf(await sendPassword(visitor, { path }, person))).toBe('factors');
    const forms = [visit, tab].map(async (begun) => {
      const path = visitor.at(begun.path);
      const list = await visitor.get(`${path}/factors`);
      const response = createPasskey(site.url).create(optionsOf(list));
      return { path, form: formTokenOf(list), response };
    });
    // In two windows at the same moment, at two replicas: the invitation is for one factor.
    const answers = await Promise.all(
      (await Promise.all(forms)).map(({ path, ...values }, at) => {
        const window = createFormBrowser({ ...place, at });
        for (const [name, value] of visitor.cookies) window.cookies.set(name, value);
        return window.post(`${path}/factors`, { ...values, action: 'passkey', label: 'key' });
      }),
    );
    const titles = answers.map(titleOf).sort();
    expect(titles).toEqual(['Log in again', 'Your recovery codes']);
    const winner = [visit, tab][answers.findIndex((one) => titleOf(one) !== 'Log in again')];
    // The first factor lets the person add another one.
    const path = visitor.at((winner ?? visit).path);
    const list = await visitor.get(`${path}/factors`);
    const form = formTokenOf(list);
    const begun = await visitor.post(`${path}/factors`, { form, action: 'app', label: 'phone' });
    const [, key = ''] = /otpauth:[^"]*?secret=([A-Z2-7]+)/.exec(begun.text) ?? [];
    const [, enrolment = ''] = /name="enrolment" value="([^"]+)"/.exec(begun.text) ?? [];
    const values = { form, action: 'app-code', enrolment, code: await createApp(key).code() };
    const added = await visitor.post(`${path}/factors`, values);
    expect(stepOf(added)).toBe('factors?added');
    const again = await open(createFormBrowser(place), code);
    const late = createFormBrowser(place);
    expect(stepOf(await sendPassword(late, again, person))).toBe('factor');
    const additions = () =>
      site.gateways
        .flatMap(({ output }) => output.lines)
        .filter(({ action, username }) => action === 'add-factor' && username === 'corp:invited')
        .filter(({ outcome }) => outcome === 'ok');
    await waitFor(() => additions().length >= 2, 'both factors in the logs');
    const methods = additions().map(({ factor }) => factor);
    expect(methods.sort()).toEqual(['passkey', 'totp']);
  });

  test('leads to no login, and ends when its user is revoked or reset', async () => {
    const person = await add('visitor');
    const { recoveryCodes } = await enrolApp(site, person);
    const visitor = createFormBrowser(placeOf(site));
    const enter = async (code = '') => {
      const begun = await open(visitor);
      await sendPassword(visitor, begun, person);
      const factor = `${visitor.at(begun.path)}/factor`;
      const question = formTokenOf(await visitor.get(factor));
      expect(stepOf(await visitor.post(factor, { form: question, code }))).toBe('factors');
      const path = visitor.at(begun.path);
      return { path, form: formTokenOf(await visitor.get(`${path}/factors`)) };
    };
    const [first, second] = [await enter(recoveryCodes[0]), await enter(recoveryCodes[1])];
    for (const answer of ['code', 'redirect'])
      expect(
        (await visitor.post(`${first.path}/confirm`, { form: first.form, answer })).headers
          .location,
      ).toBe(`${first.path}/factors`);
    expect((await visitor.get(`${first.path}/provider/okta`)).status).toBe(404);
    const act = ({ path, form }: typeof first, action: string, more: object = {}) =>
      visitor.post(`${path}/factors`, { form, action, ...more });
    expect(shown(await act(first, 'remove', { id: 'x' }))).toEqual([404, 'Not removed']);
    const { text } = await visitor.get(`${first.path}/factors`);
    // The page of the only factor has no button for it.
    expect(text).not.toContain('value="remove"');
    expect((await act(first, 'other')).status).toBe(400);

    const run = (words: readonly string[]) => site.place.replicas.operator.run(words);
    const user = ['--user', 'corp:visitor'];
    const credentials = { username: person.name, password: person.password, cluster: 'prod' };
    const { ask } = placeOf(site);
    tokenOf(await ask({ body: { ...credentials, code: recoveryCodes[3] } }));
    expect(await run(['revoke', ...user])).toMatchObject({ code: 0 });
    expect(shown(await act(first, 'recovery'))).toEqual([409, 'Log in again']);
    const third = await enter(recoveryCodes[2]);
    expect(shown(await act(third, 'app', { label: 'x' }))).toEqual([
      200,
      'Add an authenticator app',
    ]);
    expect(await run(['factor', 'reset', ...user])).toMatchObject({ code: 0 });
    for (const one of [second, third])
      expect(shown(await act(one, 'recovery'))).toEqual([409, 'Log in again']);
    expect(shown(await sendPassword(visitor, await open(visitor), person))).toEqual([
      401,
      'Invitation required',
    ]);
  });
});
