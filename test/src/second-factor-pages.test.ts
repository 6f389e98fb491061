import { randomToken, secret } from '@sallyport/test-servers/tokens';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { appCode } from './testing/authenticator-app.ts';
import { outline, shareBrowser, watchedPage } from './testing/browser.ts';
import { beginLogin } from './testing/browser-attempt.ts';
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
import {
  addDevice,
  invite,
  ownAddress,
  submitPassword,
  untilHeading,
} from './testing/second-factor.ts';

let site: Site;
let browser: Browser;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  browser = await shareBrowser();
  const login = { browser: true, trustedProxies: ['127.0.0.1'] };
  const secondFactor = { required: 'all', methods: ['totp', 'passkey'] };
  site = resources.use(await startSite({ login, secondFactor }, undefined, 'localhost'));
});
afterAll(() => resources.disposeAsync());

interface Person {
  readonly name: string;
  readonly password: string;
}

/** A person at a browser, who has opened a page. */
interface Visit extends PageVisit, AsyncDisposable {
  /** The address of the browser. */
  readonly address: string;
}

/** @param open returns the URL of the page */
async function visit(
  open: (address: string) => string | Promise<string>,
  javaScriptEnabled: boolean,
): Promise<Visit> {
  const own = ownAddress();
  const address = own['x-forwarded-for'];
  const watched = await watchedPage(browser, {
    ignoreHTTPSErrors: true,
    javaScriptEnabled,
    extraHTTPHeaders: own,
  });
  const url = await open(address);
  await watched.page.goto(url);
  const dispose = () => watched[Symbol.asyncDispose]();
  return { address, page: watched.page, watched, login: { url }, [Symbol.asyncDispose]: dispose };
}

/** Opens the page on which people change their second factors. @param end of its path, with an invitation */
const visitFactors = (end = '', javaScriptEnabled = false) =>
  visit(() => `${site.url}/login/factors${end}`, javaScriptEnabled);

/** Begins a login on a machine without a browser, and opens its page. */
async function beginElsewhere(address: string): Promise<string> {
  await using begun = await beginLogin(site, { address, listens: false });
  return begun.url;
}

const visitLogin = () => visit(beginElsewhere, false);

const click = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click();

async function submitCode(page: Page, code: string): Promise<void> {
  await page.getByRole('textbox', { name: /code/i }).fill(code);
  await page.keyboard.press('Enter');
}

/** Checks what a screen reader finds, and how it looks. */
async function expectPage(
  one: Visit,
  title: string,
  content: readonly string[],
  looks: Looks = {},
) {
  await untilHeading(one.page, title);
  const found = (await outline(one.page)).map((line) =>
    line.replace(/\d{4}-\d\d-\d\d \d\d:\d\d UTC$/, 'DATE'),
  );
  expect(found).toEqual([...frame, `heading "${title}" [level=1]`, ...content]);
  await expectGoodLooks(one, looks);
}

/** Invites a user to add a second factor. @returns the end of the link */
async function invited(person: Person): Promise<string> {
  const { url } = await invite(site.place, person);
  expect(url).toMatch(new RegExp(`^${site.url}/login/factors/`));
  return new URL(url).pathname.replace('/login/factors', '');
}

/** Adds an app to the factors of a person. */
async function addApp({ page }: Visit): Promise<void> {
  await page.getByLabel('Name of the app').fill('phone');
  await click(page, 'Add an app');
  await submitCode(
    page,
    await appCode(secret((await page.locator('.secret').textContent()) ?? '')),
  );
  await untilHeading(page, 'Your recovery codes');
  for (const shown of await page.locator('.codes code').allInnerTexts()) secret(shown);
}

const form = ['textbox "Username"', 'textbox "Password"', 'button "Log in"'];
const problem = ['alert', 'strong: "Error:"'];
const origin = [
  ...['term: Cluster', 'definition: prod', 'term: Device name', "definition: jane's laptop"],
  ...['term: Started from', 'definition: ADDRESS'],
];
const user = ({ name }: Person) => ['term: User', `definition: corp:${name}`];
const appAddition = [
  'heading "Add an authenticator app" [level=2]',
  'textbox "Name of the app"',
  'button "Add an app"',
];
const passkeyName = 'textbox "Name of the passkey"';
const passkeyAddition = (...between: string[]) => [
  'heading "Add a passkey" [level=2]',
  ...between,
  'button "Add a passkey"',
];
const withoutScript = 'heading "Add a passkey" [level=2]';
const recovery = ['heading "Recovery codes" [level=2]', 'button "Replace the recovery codes"'];
const time = (label: string) => [`term: ${label}`, 'definition', 'time: DATE'];
const factor = (name: string, method: string, used: readonly string[]) => [
  ...['listitem', `heading "${name}" [level=2]`, 'term: Method', `definition: ${method}`],
  ...[...time('Added'), ...used],
];
const codeField = 'textbox "Code from your authenticator app, or a recovery code"';

test('who must have a second factor and has none reads what to do, after the right password alone', async () => {
  const person = await site.place.people.add('newcomer');
  await using login = await visitLogin();
  await submitPassword(login.page, { ...person, password: randomToken() });
  await login.page.getByRole('alert').waitFor();
  await submitPassword(login.page, person);
  await expectPage(login, 'Second factor required', [], { statuses: [401, 401] });

  await using uninvited = await visitFactors();
  await expectPage(uninvited, 'Log in to change your second factor', form);
  await submitPassword(uninvited.page, person);
  await expectPage(uninvited, 'Invitation required', [], { statuses: [401] });

  await using wrong = await visitFactors('/abcd-efgh-ijkl-mnop');
  await expectPage(wrong, 'Log in to set up your second factor', form);
  await submitPassword(wrong.page, person);
  await expectPage(wrong, 'Invitation not valid', [], { statuses: [401] });
});

test('without JavaScript, a person adds an app by the link of an invitation, and logs in with it', async () => {
  const jane = await site.place.people.add('jane');
  await using one = await visitFactors(await invited(jane));
  const { page } = one;
  await submitPassword(one.page, jane);
  await expectPage(one, 'Your second factors', [...user(jane), ...appAddition, withoutScript]);
  await page.getByLabel('Name of the app').fill('phone');
  await click(page, 'Add an app');

  const app = (...field: string[]) => [
    ...['term: Name', 'definition: phone', 'list', 'listitem'],
    ...['img "QR code for an authenticator app"', 'link "Open the app on this device"'],
    ...['listitem', 'listitem', ...field, 'button "Add this app"', 'link "Cancel"'],
  ];
  await expectPage(one, 'Add an authenticator app', app('textbox "Code from the app"'), {
    pictures: { laptop: 'login-add-app' },
  });
  // A click takes the whole secret, without the spaces that are shown.
  await page.locator('.secret').click();
  const text = await page.evaluate(() => String(getSelection()));
  expect(text).toMatch(/^[A-Z2-7]{32}$/);
  secret(text);
  // Its step, and the time until the gateway has it, keep it nearer to 5 minutes than to 4 or 6.
  await submitCode(page, await appCode(text, -5 * 60 + 10));
  await page.getByText('5m slow').waitFor();
  const invalid = app('textbox "Code from the app" [invalid]');
  await expectPage(one, 'Add an authenticator app', [...problem, ...invalid], { statuses: [401] });
  expect(await autofocused(page)).toBe('textbox "Code from the app" [invalid]');
  await submitCode(page, await appCode(text));

  const shown = [
    'list',
    ...Array<string>(10).fill('listitem'),
    'strong: They are not shown again.',
    'link "Continue to your second factors"',
  ];
  await expectPage(one, 'Your recovery codes', shown, {
    statuses: [401],
    pictures: { laptop: 'login-recovery-codes' },
  });
  const [first = ''] = (await page.locator('.codes code').allInnerTexts()).map(secret);
  expect(first).toMatch(/^[a-z2-7]{5}-[a-z2-7]{5}$/);
  await page.getByRole('link').click();
  const never = ['term: Last used', 'definition: Never'];
  const phone = factor('phone', 'Authenticator app', never);
  const own = [...user(jane), 'list', ...phone, ...appAddition, withoutScript, ...recovery];
  await expectPage(one, 'Your second factors', own, { statuses: [401] });

  await using login = await visitLogin();
  await submitPassword(login.page, jane);
  const asked = (field: string) => [...origin, field, 'button "Continue"'];
  await expectPage(login, 'Use your second factor', asked(codeField), {
    pictures: { laptop: 'login-second-factor' },
  });
  await submitCode(login.page, '00 00 0x');
  await login.page.getByRole('alert').waitFor();
  const again = [...problem, ...asked(`${codeField} [invalid]`)];
  await expectPage(login, 'Use your second factor', again, { statuses: [401] });
  // The keyboard alone is enough.
  expect(await autofocused(login.page)).toBe(`${codeField} [invalid]`);
  expect(await tabOrder(login.page)).toEqual(['button "Continue"']);
  await login.page.reload();
  await autofocused(login.page);
  await login.page.keyboard.type(` ${first.toUpperCase()} `);
  await login.page.keyboard.press('Enter');
  await untilHeading(login.page, 'Log in to prod?');
});

const passkeyText = (page: Page, text: string) => page.getByRole('alert').getByText(text).waitFor();

test('with JavaScript, a person adds a passkey and logs in with it, and reads why the browser returns none', async () => {
  const zoe = await site.place.people.add('zoe');
  await using one = await visitFactors(await invited(zoe), true);
  const { page } = one;
  const device = await addDevice(page);
  await submitPassword(one.page, zoe);
  await expectPage(one, 'Your second factors', [
    ...user(zoe),
    ...appAddition,
    ...passkeyAddition(passkeyName),
  ]);
  await addApp(one);
  await page.getByRole('link').click();
  await page.getByLabel('Name of the passkey').fill('laptop');
  await device.verify(false);
  await click(page, 'Add a passkey');
  await passkeyText(page, 'The browser returned no passkey');
  const notAdded = passkeyAddition(`${passkeyName}: laptop`, ...problem);
  const never = ['term: Last used', 'definition: Never'];
  const phone = factor('phone', 'Authenticator app', never);
  const before = [...user(zoe), 'list', ...phone, ...appAddition, ...notAdded, ...recovery];
  await expectPage(one, 'Your second factors', before);
  await device.verify(true);
  await page.getByLabel('Name of the passkey').press('Enter');
  await page.getByRole('status').waitFor();
  const laptop = factor('laptop', 'Passkey', never);
  const remove = (name: string) => `button "Remove ${name}": Remove`;
  const both = [...phone, remove('phone'), ...laptop, remove('laptop')];
  const after = [
    ...user(zoe),
    'list',
    ...both,
    ...appAddition,
    ...passkeyAddition(passkeyName),
    ...recovery,
  ];
  await expectPage(one, 'Your second factors', ['status: The second factor was added.', ...after], {
    pictures: { laptop: 'login-second-factors' },
  });
  await page.getByLabel('Name of the passkey').fill('laptop');
  await page.keyboard.press('Enter');
  await passkeyText(page, 'already has a passkey');

  await click(page, 'Remove phone');
  await page.getByRole('status').getByText('removed').waitFor();
  const only = [
    ...user(zoe),
    'list',
    ...laptop,
    ...appAddition,
    ...passkeyAddition(passkeyName),
    ...recovery,
  ];
  await expectPage(one, 'Your second factors', ['status', ...only]);

  await page.goto(await beginElsewhere(one.address));
  await submitPassword(one.page, zoe);
  const passkey = ['heading "With a passkey" [level=2]', 'button "Use a passkey"'];
  const code = ['heading "With a code" [level=2]', 'textbox "Recovery code"', 'button "Continue"'];
  await expectPage(one, 'Use your second factor', [...origin, ...passkey, ...code], {
    pictures: { laptop: 'login-passkey' },
  });
  // The Enter that sent the password must not ask for the passkey, too.
  expect(await focused(page)).toBeUndefined();
  expect(await tabOrder(page)).toEqual([
    'button "Use a passkey"',
    'textbox "Recovery code"',
    'button "Continue"',
  ]);
  await page.evaluate(() => Reflect.deleteProperty(globalThis, 'PublicKeyCredential'));
  await click(page, 'Use a passkey');
  await passkeyText(page, 'does not support passkeys');
  await page.reload();
  await device.verify(false);
  await click(page, 'Use a passkey');
  await passkeyText(page, 'The browser returned no passkey');
  const failed = [passkey[0] ?? '', ...problem, passkey[1] ?? ''];
  await expectPage(one, 'Use your second factor', [...origin, ...failed, ...code]);
  await device.verify(true);
  await click(page, 'Use a passkey');
  // Its buttons have a delay.
  await page.getByRole('button', { name: 'Show a code to paste' }).click({ trial: true });
  await expectPage(one, 'Log in to prod?', [
    ...['term: User', 'definition: corp:zoe', ...origin],
    ...['button "Show a code to paste"', 'button "Cancel"'],
  ]);
});
