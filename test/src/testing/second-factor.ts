import { secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';
import { askLogin, type LoginAnswer } from './ask-login.ts';
import { appCode } from './authenticator-app.ts';
import type { BrowserPlace } from './browser-login.ts';
import { writeInvitation } from './factor-records.ts';
import { done, getNamespaces } from './kubectl-user.ts';
import type { Desk, Site } from './login-client.ts';
import { type LoginPlace, loginUrlOf } from './login-gateway.ts';

interface Person {
  readonly name: string;
  readonly password: string;
}

interface Invitation {
  readonly user: string;
  readonly code: string;
  /** The link for a browser. */
  readonly url: string;
  /** The command for a terminal. */
  readonly command: string;
}

/** Invites a user of `corp` to add a factor, as an administrator does. The code is a secret of this test file from then on. */
export async function invite(
  { replicas }: Pick<LoginPlace, 'replicas'>,
  { name }: Pick<Person, 'name'>,
  more: readonly string[] = [],
): Promise<Invitation> {
  const words = ['factor', 'invite', '--user', `corp:${name}`, ...more, '-o', 'json'];
  const { code, stdout, stderr } = await replicas.operator.run(words);
  if (code !== 0) throw new Error(`factor invite ended with ${code}: ${stderr}`);
  const invited = JSON.parse(stdout) as Invitation;
  secret(invited.code);
  return invited;
}

/** The length of a step in milliseconds. */
const stepLength = 30_000;

/** An authenticator app. */
export interface App {
  /**
   * Makes a code that was not made before: for now, and then for the next step. Both are valid until the step after them begins, so
   * that there is time to use them.
   */
  code(): Promise<string>;
}

/** @param key the secret, as an app takes it */
export function createApp(key: string): App {
  secret(key);
  let next = Math.floor(Date.now() / stepLength);
  return {
    async code() {
      const now = Math.floor(Date.now() / stepLength);
      if (next > now + 1) throw new Error('an app of a test has two codes');
      const step = Math.max(next, now);
      next = step + 1;
      return await appCode(key, ((step + 0.5) * stepLength - Date.now()) / 1_000);
    },
  };
}

/**
 * Adds an app to a user who has none, at a terminal.
 *
 * @param invited the code of their invitation. If it is left out, one is written to the Redis of the place, which is sooner than
 * the command
 */
export async function enrolApp(
  { place, post }: { readonly place: Pick<LoginPlace, 'redis' | 'replicas'> } & Pick<Site, 'post'>,
  { name, password }: Person,
  invited?: string,
): Promise<{ readonly app: App; readonly recoveryCodes: readonly string[] }> {
  const key = place.replicas.operator.env.SALLYPORT_CACHE_KEY ?? '';
  const invitation = invited ?? (await writeInvitation(place.redis, key, { name }));
  const path = '/v1/factors';
  const begun = await post(path, { username: name, password, invitation, label: 'phone' });
  const app = createApp(String(begun.json.secret));
  const { enrolment } = begun.json;
  const { status, json } = await post(path, { enrolment, code: await app.code() });
  if (status !== 201) throw new Error(`the app was not added: ${JSON.stringify(json)}`);
  const recoveryCodes = (json.recoveryCodes as readonly string[]).map(secret);
  return { app, recoveryCodes };
}

let addresses = 0;

/** Waits until a page with this heading is shown. */
export const untilHeading = (page: Page, name: string): Promise<void> =>
  page.getByRole('heading', { level: 1, name, exact: true }).waitFor();

/** Fills in the login page, and presses Enter. */
export async function submitPassword(page: Page, { name, password }: Person): Promise<void> {
  await page.getByLabel('Username').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
}

/** Finds a button by what it says. */
export const button = (page: Page, name: string): Locator =>
  page.getByRole('button', { name, exact: true });

/**
 * Runs kubectl, which opens a window and waits, and logs in there.
 *
 * @param prove answers the question for a factor. @param count the windows of the desk, this one included
 */
export async function withKubectl(
  desk: Desk,
  page: Page,
  person: Person,
  prove: () => Promise<void>,
  count = 1,
): Promise<void> {
  const ended = desk.kubectl(getNamespaces, { env: { DISPLAY: ':0' } });
  await page.goto(await waitFor(async () => (await desk.opened())[count - 1], 'a window'));
  await submitPassword(page, person);
  await untilHeading(page, 'Use your second factor');
  await prove();
  await untilHeading(page, 'Log in to prod?');
  await button(page, 'Log in').click();
  await untilHeading(page, 'Logged in');
  expect(await ended).toEqual({
    ...done,
    stderr: expect.stringMatching(/^logged in to cluster prod as corp:.+ until .+\n$/),
  });
}

/** Goes to the list of factors. */
export async function openFactors(
  page: Page,
  { url }: Pick<Site, 'url'>,
  person: Person,
  code: string,
): Promise<void> {
  await page.goto(`${url}/login/factors`);
  await submitPassword(page, person);
  await page.getByLabel('Code from your authenticator app').fill(code);
  await page.keyboard.press('Enter');
  await untilHeading(page, 'Your second factors');
}

/** Sends a form whose answer looks like the page before, and waits for it. */
export async function submit(page: Page, name: string): Promise<void> {
  await Promise.all([page.waitForEvent('load'), button(page, name).click()]);
}

/** Adds a passkey on the list of factors. */
export async function addPasskey(page: Page, name: string): Promise<void> {
  await page.getByLabel('Name of the passkey').fill(name);
  await submit(page, 'Add a passkey');
  await page.getByText('The second factor was added.').waitFor();
}

/** A device with passkeys, which asks its user for nothing. */
interface Device {
  /** Says whether the device knows its user, such as by a finger. */
  verify(isUserVerified: boolean): Promise<unknown>;
  remove(): Promise<unknown>;
}

/** Adds a device with passkeys to the browser of a page. */
export async function addDevice(page: Page): Promise<Device> {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('WebAuthn.enable');
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
    },
  });
  return {
    verify: (isUserVerified) =>
      devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified }),
    remove: () => devtools.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId }),
  };
}

/** An address that no other test has, and that has sent no wrong password. `login.trustedProxies` must have 127.0.0.1. */
export function ownAddress(): Readonly<Record<'x-forwarded-for', string>> {
  addresses += 1;
  return { 'x-forwarded-for': `192.0.2.${addresses}` };
}

/** The way to the login servers of a site, from an address of its own. */
export function placeOf(site: Site): BrowserPlace {
  const own = { host: new URL(site.url).host, ...ownAddress() };
  const urls = site.gateways.map(loginUrlOf);
  return {
    origin: site.url,
    ask: (request, at = 0) =>
      askLogin(urls[at] ?? '', {
        ...request,
        ca: site.ca,
        headers: { ...own, ...request.headers },
      }),
  };
}

/** The options of the passkey for which a page asks. @throws Error if the page asks for none */
export function optionsOf({ text, status }: LoginAnswer): { readonly challenge: string } {
  const [, options] = /data-options="([^"]+)"/.exec(text) ?? [];
  if (options === undefined)
    throw new Error(`the page asks for no passkey, but ${status}: ${text}`);
  return JSON.parse(options.replaceAll('&quot;', '"').replaceAll('&amp;', '&'));
}
