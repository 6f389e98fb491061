import { type ForgedProvider, startForgedProvider } from '@sallyport/test-servers/forged-provider';
import { secret } from '@sallyport/test-servers/tokens';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shareBrowser, watchedPage } from './testing/browser.ts';
import { beginLogin } from './testing/browser-attempt.ts';
import { startHostileServer } from './testing/hostile-server.ts';
import { type Site, startSite } from './testing/login-client.ts';
import { withProviders } from './testing/provider-login.ts';
import { submitPassword, untilHeading } from './testing/second-factor.ts';

let sso: ForgedProvider;
let site: Site;
let browser: Browser;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  browser = await shareBrowser();
  // It knows the person, and asks nothing.
  sso = resources.use(await startForgedProvider());
  site = resources.use(await startSite(withProviders({ sso: { server: sso } })));
});
afterAll(() => resources.disposeAsync());

const openWindow = () => watchedPage(browser, { ignoreHTTPSErrors: true });
const question = 'Log in to prod?';

/** The cookie of a login in the browser of a page. */
async function cookieIn(page: Page) {
  const cookies = await page.context().cookies();
  const cookie = cookies.find(({ name }) => name.startsWith('__Host-sallyport-'));
  if (cookie === undefined) throw new Error('the browser has no cookie of a login');
  return { ...cookie, value: secret(cookie.value) };
}

// Another port of the same host is the same site, and cookies know no ports.
test('a page on another port of the host plants a cookie and receives one, and gets nothing of the login', async () => {
  await using hostile = await startHostileServer();
  await using begun = await beginLogin(site);
  await using attacker = await openWindow();
  await attacker.page.goto(begun.url);
  const planted = await cookieIn(attacker.page);
  await using victim = await openWindow();
  const { page } = victim;
  hostile.pages.set('/', '<h1>Dashboard</h1>');
  const elsewhere = `https://127.0.0.1:${hostile.port}/`;
  await page.goto(elsewhere);
  await page.evaluate((cookie) => {
    // biome-ignore lint/suspicious/noDocumentCookie: an attacker sets it so
    document.cookie = cookie;
  }, `${planted.name}=${planted.value}; Path=/; Secure`);
  expect((await cookieIn(page)).value).toBe(planted.value);
  await page.evaluate((url) => window.location.assign(url), `${begun.url}/provider/sso`);
  await untilHeading(page, 'Link of another site');
  expect(page.url()).toBe(`${begun.url}/provider/sso`);

  // The person who has started this login goes on from there.
  await page.getByRole('link').click();
  await page.getByRole('link', { name: 'Log in with' }).click();
  await untilHeading(page, question);
  const confirmation = page.url();
  await page.goto(elsewhere);
  const received = hostile.cookies.at(-1) ?? '';
  expect(received).toBe(`${planted.name}=${(await cookieIn(page)).value}`);
  for (const value of [planted.value, received.slice(received.indexOf('=') + 1)]) {
    await attacker.page.context().addCookies([{ ...planted, value }]);
    await attacker.page.goto(`${begun.url}/confirm`);
    expect(attacker.page.url()).toBe(begun.url);
    await untilHeading(attacker.page, 'Log in to prod');
  }
  await page.goto(confirmation);
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  await untilHeading(page, 'Logged in');
  const [path = ''] = begun.visits;
  const code = new URL(path, site.url).searchParams.get('code') ?? '';
  expect((await begun.redeem(code)).json.user).toMatchObject({ username: 'sso:jane' });
});

test('the second press of a double click, and a click as the window comes to the front, confirm nothing', async () => {
  await using begun = await beginLogin(site);
  await using window = await openWindow();
  const { page, complaints } = window;
  // The test says when time passes for the page.
  await page.clock.install();
  await page.goto(begun.url);
  await page.clock.pauseAt(await page.evaluate(() => Date.now() + 1_000));
  await page.getByRole('link', { name: 'Log in with' }).click();
  await untilHeading(page, question);
  const box = await page.getByRole('button', { name: 'Log in', exact: true }).boundingBox();
  if (box === null) throw new Error('the page has no button');
  /** Presses the button, which may be off. @returns whether it was */
  const press = async () => {
    const isOff = await page.getByRole('button', { name: 'Log in', exact: true }).isDisabled();
    await page.mouse.dblclick(box.x + box.width / 2, box.y + box.height / 2);
    return isOff;
  };
  expect(await press()).toBe(true);
  await page.clock.runFor(999);
  expect(await press()).toBe(true);
  await page.clock.runFor(1);
  // A window above it was closed by the first press.
  await page.evaluate(() => dispatchEvent(new FocusEvent('focus')));
  expect(await press()).toBe(true);
  await page.clock.runFor(999);
  expect(await press()).toBe(true);
  expect([await page.getByRole('heading').allTextContents(), begun.visits]).toEqual([
    [question],
    [],
  ]);
  await page.clock.runFor(1);
  expect(await press()).toBe(false);
  await untilHeading(page, 'Logged in');
  expect(begun.visits.filter((path) => path.startsWith('/?id='))).toHaveLength(1);
  expect(complaints).toEqual([]);
});

test('with the script blocked, a double click confirms nothing, and a tick and a click do', async () => {
  await using begun = await beginLogin(site, { listens: false });
  await using window = await openWindow();
  const { page } = window;
  const jane = await site.place.people.add('jane');
  // A proxy or an extension that changes the page, so that the policy blocks its script.
  await page.route('**/confirm', async (route) => {
    if (route.request().method() === 'POST') return route.continue();
    const response = await route.fetch();
    const body = (await response.text()).replace("'use strict';", "'use strict'; ");
    await route.fulfill({ response, body });
  });
  await page.goto(begun.url);
  await submitPassword(page, jane);
  await untilHeading(page, question);
  // What a redirect leads to is not changed.
  await page.reload();
  const confirm = page.getByRole('button', { name: 'Show a code to paste' });
  await confirm.dblclick();
  expect(await page.getByRole('heading').allTextContents()).toEqual([question]);
  await page.getByRole('checkbox', { name: 'I started this login myself.' }).check();
  await confirm.click();
  await untilHeading(page, 'Copy this code');
});
