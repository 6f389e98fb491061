import { createJwtIssuer } from '@sallyport/test-servers/jwt-issuer';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { outline, shareBrowser, watchedPage } from './testing/browser.ts';
import { type BegunLogin, beginLogin } from './testing/browser-attempt.ts';
import type { Gateway } from './testing/gateway.ts';
import { startHostileServer } from './testing/hostile-server.ts';
import { type Site, startSite } from './testing/login-client.ts';
import {
  autofocused,
  expectGoodLooks,
  focused,
  frame,
  type Looks,
  type PageVisit,
  tabOrder,
} from './testing/page-looks.ts';

const issuer = createJwtIssuer();
// No one listens there: the pages that need a provider are in browser-login.test.ts.
const ofIssuer = { issuer: { url: 'https://127.0.0.1:1', audiences: ['kubernetes'] } };
const okta = { title: 'Example SSO', authenticator: 'oidc', clientId: 'kubernetes' };
const providers = { okta };
/** Each test has an address of its own, which has sent no wrong password. */
const login = {
  browser: true,
  providers,
  limits: { perAddress: '2/h' },
  trustedProxies: ['127.0.0.1'],
};
const others = [issuer.authenticator({}, ofIssuer)];

let site: Site;
let browser: Browser;
let jane: { readonly name: string; readonly password: string };
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  browser = await shareBrowser();
  site = resources.use(await startSite({ login, others }));
  jane = await site.place.people.add('jane', 'k8s-payments');
});
afterAll(() => resources.disposeAsync());

/** A person at a browser, and a login that their machine has begun. */
interface Visit extends PageVisit, AsyncDisposable {
  readonly login: BegunLogin;
}

interface Setting {
  readonly at?: Site;
  readonly listens?: boolean;
  readonly username?: string;
  /** The address of the machine that begins the login. Default: the address of the browser. */
  readonly from?: string;
  /** Whether the browser runs scripts. Default: false. */
  readonly hasScripts?: boolean;
}

let addresses = 0;

/** Opens the page of a new login. */
async function visit({
  at = site,
  listens,
  username,
  from,
  hasScripts = false,
}: Setting = {}): Promise<Visit> {
  await using opened = new AsyncDisposableStack();
  addresses += 1;
  const address = `192.0.2.${addresses}`;
  const begun = await beginLogin(at, {
    address: from ?? address,
    ...(listens !== undefined && { listens }),
    ...(username !== undefined && { username }),
  });
  opened.use(begun);
  const watched = await watchedPage(browser, {
    ignoreHTTPSErrors: true,
    javaScriptEnabled: hasScripts,
    extraHTTPHeaders: { 'x-forwarded-for': address },
  });
  opened.use(watched);
  const { page } = watched;
  await page.goto(begun.url);
  const owned = opened.move();
  return { page, watched, login: begun, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function submitPassword({ page }: Visit, name: string, password: string): Promise<void> {
  await page.getByLabel('Username').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
}

const wrongPassword = async (one: Visit): Promise<void> => {
  await submitPassword(one, 'nobody', randomToken());
  await one.page.getByRole('alert').waitFor();
};

const untilConfirm = async (one: Visit): Promise<void> => {
  await submitPassword(one, jane.name, jane.password);
  await answer(one, 'Cancel').waitFor();
};

const answer = ({ page }: Visit, name: string) => page.getByRole('button', { name, exact: true });

/** Confirms that the login is their own, which a browser asks for that runs no script. */
const tick = ({ page }: Pick<Visit, 'page'>) => page.getByRole('checkbox').check();

const message = ({ page }: Visit, title: string) =>
  page.getByRole('heading', { level: 1, name: title }).waitFor();

const origin = ['term: Device name', "definition: jane's laptop", 'term: Started from'];
const form = ['textbox "Username"', 'textbox "Password"', 'button "Log in"'];
const link = ['list', 'listitem', 'link "Log in with Example SSO"'];
const withPassword = ['heading "With username and password" [level=2]', ...form];
const withProvider = ['heading "With single sign-on" [level=2]', ...link];
const both = [...withPassword, ...withProvider];
const where = (address = 'definition: ADDRESS') => [...origin, address];
const loginPage = ['heading "Log in to prod" [level=1]', ...where(), ...both];
const warning = 'strong: "Warning:"';
const withProblem = loginPage.toSpliced(1, 0, 'alert', 'strong: "Error:"');
const who = ['term: User', 'definition: corp:jane', 'term: Cluster', 'definition: prod'];
const confirmPage = (...buttons: string[]) => [
  'heading "Log in to prod?" [level=1]',
  ...who,
  ...where(),
  box,
  ...buttons,
];

const answers = ['button "Log in"', 'button "Show a code to paste instead"', 'button "Cancel"'];
const box = 'checkbox "I started this login myself."';

/** Logs in, logs in again in another tab, and confirms in the first one. */
async function untilOutdated(one: Visit): Promise<void> {
  await untilConfirm(one);
  const page = await one.page.context().newPage();
  await page.goto(one.login.url);
  await untilConfirm({ ...one, page });
  await page.close();
  await tick(one);
  await answer(one, 'Log in').click();
  await message(one, 'Page out of date');
}

interface State extends Setting, Looks {
  readonly name: string;
  /** What a person does after they have opened the page. */
  readonly act?: (one: Visit) => Promise<unknown>;
  /** What a screen reader finds. */
  readonly outline: readonly string[];
}

const states: readonly State[] = [
  {
    name: 'a login with a password or a provider',
    outline: loginPage,
    pictures: { laptop: 'login-page', phone: 'login-320px' },
  },
  {
    name: 'a wrong password',
    act: wrongPassword,
    outline: withProblem.map((line) => {
      if (line === form[0]) return 'textbox "Username" [invalid]: nobody';
      return line === form[1] ? 'textbox "Password" [invalid]' : line;
    }),
    statuses: [401],
    pictures: { laptop: 'login-wrong-password' },
  },
  {
    name: 'too many wrong passwords',
    async act(one) {
      for (const _ of [1, 2]) await wrongPassword(one);
      await submitPassword(one, jane.name, jane.password);
      await one.page.getByText('too many attempts').waitFor();
    },
    outline: withProblem.with(withProblem.indexOf(form[0] ?? ''), 'textbox "Username": jane'),
    statuses: [401, 401, 429],
  },
  {
    name: 'a login that began at another address',
    from: '198.51.100.7',
    outline: loginPage
      .with(loginPage.indexOf('definition: ADDRESS'), 'definition: 198.51.100.7')
      .toSpliced(1, 0, warning),
    pictures: { laptop: 'login-other-address' },
  },
  {
    name: 'a provider that is down',
    async act({ page }) {
      await page.getByRole('link').click();
      await page.getByRole('alert').waitFor();
    },
    outline: [...withProblem.slice(0, -both.length), ...withProvider, ...withPassword],
    statuses: [503],
  },
  {
    name: 'the question at the machine that waits, which is there again after Back and Forward',
    async act(one) {
      await untilConfirm(one);
      await one.page.goBack();
      await message(one, 'Log in to prod');
      await one.page.goForward();
      await one.page.reload();
      await answer(one, 'Cancel').waitFor();
    },
    outline: confirmPage(...answers),
  },
  {
    name: 'the question for another machine',
    listens: false,
    act: untilConfirm,
    outline: confirmPage('button "Show a code to paste"', 'button "Cancel"'),
  },
  {
    name: 'a code to paste',
    listens: false,
    async act(one) {
      await untilConfirm(one);
      await tick(one);
      await answer(one, 'Show a code to paste').click();
      await message(one, 'Copy this code');
    },
    outline: [
      'heading "Copy this code" [level=1]',
      'textbox "Code": CODE',
      warning,
      ...who,
      ...where(),
    ],
    pictures: { laptop: 'login-code' },
  },
  {
    name: 'a cancelled login',
    listens: false,
    async act(one) {
      await untilConfirm(one);
      await answer(one, 'Cancel').click();
      await message(one, 'Login cancelled');
    },
    outline: ['heading "Login cancelled" [level=1]'],
  },
  {
    name: 'an attempt that was used in another tab',
    async act(one) {
      await untilConfirm(one);
      const other = await one.page.context().newPage();
      await other.goto(one.page.url());
      await other.getByRole('button', { name: 'Cancel' }).click();
      await other.waitForURL(`http://127.0.0.1:*/?cancelled=${one.login.id}`);
      await other.close();
      await tick(one);
      await answer(one, 'Log in').click();
      await message(one, 'Login already finished');
      // No one types a password for a login that has ended.
      await one.page.goto(one.login.url);
      await message(one, 'Login already finished');
    },
    outline: ['heading "Login already finished" [level=1]'],
    statuses: [409, 409],
  },
  {
    name: 'a question from before a login in another tab',
    act: untilOutdated,
    outline: ['heading "Page out of date" [level=1]', 'link "Try again"'],
    statuses: [403],
  },
  {
    name: 'a step that is over',
    async act(one) {
      await untilOutdated(one);
      await one.page.getByRole('link').click();
      await one.page.getByText('This page belongs to an earlier step.').waitFor();
    },
    outline: withProblem,
    statuses: [403],
  },
  {
    name: 'a link that is not complete',
    async act(one) {
      await one.page.goto(one.login.url.slice(0, -1));
      await message(one, 'Login expired');
    },
    outline: ['heading "Login expired" [level=1]'],
    statuses: [404],
    pictures: { laptop: 'login-expired' },
  },
  {
    name: 'a browser without the cookie',
    async act(one) {
      await one.page.context().clearCookies();
      await submitPassword(one, jane.name, jane.password);
      await message(one, 'Other browser, or no cookies');
    },
    outline: ['heading "Other browser, or no cookies" [level=1]', 'link "Try again"'],
    statuses: [403],
  },
  {
    name: 'an unknown page',
    async act(one) {
      await one.page.goto(`${one.login.url}/unknown`);
      await message(one, 'Page not found');
    },
    outline: ['heading "Page not found" [level=1]'],
    statuses: [404],
  },
  {
    name: 'too many requests',
    async act(one) {
      for (let requests = 0; requests < 20; requests++)
        await one.page.request.get(`${one.login.url}/unknown`);
      await one.page.goto(one.login.url);
      await message(one, 'Too many requests');
    },
    outline: ['heading "Too many requests" [level=1]'],
    statuses: [429],
  },
];

test.each(states)(
  'in Chromium without JavaScript, $name fits on each screen and can be heard',
  async ({ act, outline: expected, statuses = [], pictures = {}, ...setting }) => {
    await using one = await visit(setting);
    await act?.(one);
    expect(await outline(one.page)).toEqual([...frame, ...expected]);
    await expectGoodLooks(one, { statuses, pictures });
  },
);

test('with JavaScript, the question has a delay in place of the box, and fits on each screen', async () => {
  await using one = await visit({ hasScripts: true });
  await untilConfirm(one);
  await answer(one, 'Log in').click({ trial: true });
  expect(await outline(one.page)).toEqual([
    ...frame,
    ...confirmPage(...answers).filter((line) => line !== box),
  ]);
  await expectGoodLooks(one, { pictures: { laptop: 'login-confirm' } });
});

test.each([
  { name: 'passwords alone', changed: { ...login, providers: {} }, expected: [...form] },
  { name: 'a provider alone', changed: { ...login, authenticators: [] }, expected: [...link] },
])('the page offers $name, as the config says', async ({ changed, expected }) => {
  const [gateway] = site.gateways as [Gateway];
  const { config } = site.place;
  try {
    await gateway.configure({ ...config, login: { ...(config.login as object), ...changed } });
    await gateway.reload();
    await using one = await visit();
    const heading = 'heading "Log in to prod" [level=1]';
    expect(await outline(one.page)).toEqual([...frame, heading, ...where(), ...expected]);
    await expectGoodLooks(one, {});
  } finally {
    await gateway.configure(config);
    await gateway.reload();
  }
});

test('each page has the logo of the company, and another file of it needs no reload', async () => {
  const [gateway] = site.gateways as [Gateway];
  const { config } = site.place;
  const draw = (width: number) =>
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="96"><path d="M0 0h9v9z"/></svg>`;
  const company = { title: 'Example Corp', logo: 'logo.svg' };
  try {
    await gateway.write('logo.svg', draw(960));
    await gateway.configure({ ...config, login: { ...(config.login as object), ...company } });
    await gateway.reload();
    await using one = await visit();
    const { page } = one;
    const logo = page.getByRole('img', { name: company.title });
    const width = () =>
      logo.evaluate((image: HTMLImageElement) => image.complete && image.naturalWidth);
    expect(await width()).toBe(960);
    expect((await logo.boundingBox())?.height).toBeLessThanOrEqual(48);
    await expectGoodLooks(one, {});
    await gateway.write('logo.svg', draw(480));
    await waitFor(async () => {
      await page.reload();
      return (await width()) === 480;
    }, 'the other logo');
    await page.goto(`${new URL(one.login.url).origin}/unknown`);
    expect(await outline(page)).toEqual([
      'banner',
      'img "Example Corp"',
      'main',
      'heading "Page not found" [level=1]',
    ]);
    await expectGoodLooks(one, { statuses: [404] });
  } finally {
    await gateway.configure(config);
    await gateway.reload();
  }
});

test('a directory or a Redis that is down is named on the page, which is still there', async () => {
  await using at = await startSite({ login: { ...login, providers: {} } });
  const { people, redis } = at.place;
  await using one = await visit({ at });
  await people.slapd.stop();
  await submitPassword(one, people.alice.name, people.alice.password);
  await one.page.getByRole('alert').getByText("can't be checked now").waitFor();
  await people.slapd.start();
  await using other = await visit({ at });
  await waitFor(async () => {
    await submitPassword(other, people.alice.name, people.alice.password);
    await other.page.getByRole('heading', { level: 1 }).waitFor();
    return other.page.url().endsWith('/confirm');
  }, 'a login at the directory');
  await redis.stop();
  await tick(other);
  await answer(other, 'Log in').click();
  await message(other, 'Login not possible now');
  expect(other.login.visits).toEqual([]);
  await expectGoodLooks(one, { statuses: [503] });
});

test('the keyboard alone is enough: the focus begins where one types, and Enter never confirms by itself', async () => {
  await using one = await visit({ username: jane.name });
  const { page, login: begun } = one;
  expect(await autofocused(page)).toBe('textbox "Password"');
  expect(await tabOrder(page)).toEqual(['button "Log in"', 'link "Log in with Example SSO"']);
  await page.reload();
  await autofocused(page);
  await page.keyboard.type(randomToken());
  await page.keyboard.press('Enter');
  await page.getByRole('alert').waitFor();
  expect(await autofocused(page)).toBe('textbox "Password" [invalid]');
  expect(await page.getByLabel('Username').inputValue()).toBe(jane.name);
  await page.keyboard.type(jane.password);
  await page.keyboard.press('Enter');
  await answer(one, 'Cancel').waitFor();
  expect(await focused(page)).toBeUndefined();
  await page.keyboard.press('Enter');
  expect(await tabOrder(page)).toEqual([box, ...answers]);
  expect(begun.visits).toEqual([]);
  await page.reload();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Space');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForURL('http://127.0.0.1:*/?id=*');
  const [path = ''] = begun.visits;
  const code = new URL(path, site.url).searchParams.get('code') ?? '';
  expect((await begun.redeem(code)).json.user).toMatchObject({ username: 'corp:jane' });
});

test('a password manager knows the fields, and a code is selected, and copied by a button', async () => {
  await using one = await visit({ listens: false, hasScripts: true });
  const { page } = one;
  const attributes = async (label: string) => {
    const field = page.getByLabel(label);
    const names = ['type', 'name', 'autocomplete'];
    return Promise.all(names.map((name) => field.getAttribute(name)));
  };
  expect(await attributes('Username')).toEqual([null, 'username', 'username']);
  expect(await attributes('Password')).toEqual(['password', 'password', 'current-password']);
  await untilConfirm(one);
  await answer(one, 'Show a code to paste').click();
  expect(await readSelection(one)).toMatch(codeForm);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await answer(one, 'Copy').click();
  await answer(one, 'Copied').waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect((await one.login.redeem(copied)).status).toBe(201);
});

test('without scripts, the page of a code has no button, and a triple click takes the whole code', async () => {
  await using one = await visit({ listens: false });
  await untilConfirm(one);
  await tick(one);
  await answer(one, 'Show a code to paste').click();
  await one.page.getByLabel('Code').click({ clickCount: 3 });
  expect(await one.page.getByRole('button').count()).toBe(0);
  const selection = await readSelection(one);
  expect(selection).toMatch(codeForm);
  expect((await one.login.redeem(selection)).status).toBe(201);
});

const codeForm = /^([\dA-Z]{4}-){3}[\dA-Z]{4}$/;

const readSelection = ({ page }: Visit) =>
  page.getByLabel('Code').evaluate((element) => {
    const { value, selectionStart, selectionEnd } = element as HTMLInputElement;
    return value.slice(selectionStart ?? 0, selectionEnd ?? 0);
  });

// Another port of the same host is the same site: browsers send it our cookies.
test.each(['127.0.0.1', 'evil.example'])(
  'a hostile page of %s can neither frame the page, nor send its form, nor read it, nor hold its window',
  async (host) => {
    await using hostile = await startHostileServer();
    await using begun = await beginLogin(site);
    await using watched = await watchedPage(browser, { ignoreHTTPSErrors: true });
    const { page, complaints } = watched;
    const open = async (markup: string) => {
      hostile.pages.set('/', markup);
      await page.goto(`https://${host}:${hostile.port}/`);
    };
    await page.goto(begun.url);
    // What the attacker can't know, but might.
    const token = await page.locator('input[name=form]').first().getAttribute('value');
    const { bob } = site.place.people;

    await open(`<iframe src="${begun.url}"></iframe>`);
    const [, framed] = page.frames();
    expect(framed?.url()).toBe('chrome-error://chromewebdata/');
    expect(complaints.join()).toContain('frame-ancestors');

    await open(`<form method="post" action="${begun.url}/password"><input name="form" value="${token}">
      <input name="username" value="${bob.name}"><input name="password" value="${bob.password}"></form>`);
    await page.evaluate(() => document.forms[0]?.submit());
    await page.waitForURL(`${begun.url}/password`);
    expect(await page.getByRole('heading').allTextContents()).toEqual(['Request refused']);
    // No one has logged in: the question is not there.
    await page.goto(`${begun.url}/confirm`);
    expect(page.url()).toBe(begun.url);

    await open('<h1>Hostile</h1>');
    const reading = (mode: RequestMode) =>
      page.evaluate(
        ([url, how]) =>
          fetch(url, { mode: how, credentials: 'include' }).then(
            (read) => read.type,
            (error: Error) => error.name,
          ),
        [begun.url, mode] as const,
      );
    expect(await reading('cors')).toBe('TypeError');
    expect(await reading('no-cors')).toBe('TypeError');

    const opened = page.waitForEvent('popup');
    await page.evaluate((url) => Reflect.set(window, 'held', window.open(url)), begun.url);
    await (await opened).getByRole('heading', { level: 1 }).waitFor();
    expect(await page.evaluate(() => (Reflect.get(window, 'held') as Window).closed)).toBe(true);
  },
);
