import { createPasskey } from '@sallyport/test-servers/passkey';
import { enrolApp } from '../../login/enrol-app.ts';
import { computeCode, stepAt } from '../../login/factors/totp.ts';
import { logInAtTerminal } from '../../login/terminal-login.ts';
import { password } from './login-backends.ts';
import { findText, openBrowser, readOptions } from './login-browser.ts';
import type { LoginPlace } from './login-place.ts';
import { jane, publicUrl } from './login-world.ts';

// Each function goes through one way to log in or to add a factor, and calls `reach` between its requests.

/** The name of a factor that is added on one of these ways. */
export const newLabel = 'new';

const credentials = { username: 'jane', password };

/** The code that an app shows. @param steps how many steps later */
function computeAppCode(secret: string, steps = 0): string {
  return computeCode(Buffer.from(secret, 'base64url'), stepAt(Date.now()) + steps);
}

/** Adds an app for jane. @returns its secret */
async function addApp({ factors, invite }: LoginPlace): Promise<string> {
  const { secondFactor, enrolment, apps } = factors();
  const invitation = await invite();
  const grant = enrolment.grant(await secondFactor.store.read(jane), invitation);
  const begun = grant && apps.read(apps.begin(jane, grant, 'phone', noLogin).enrolment);
  if (begun === undefined) throw new Error('the invitation gives no grant');
  // The code of the step before: so the present one is not used yet.
  await apps.finish(begun, computeAppCode(begun.secret, -1));
  return begun.secret;
}

const noLogin = { since: 0, revision: 0 };

async function addPasskey({ factors, invite }: LoginPlace) {
  const { secondFactor, enrolment, passkeys } = factors();
  const invitation = await invite();
  const record = await secondFactor.store.read(jane);
  const grant = enrolment.grant(record, invitation);
  if (record === undefined || grant === undefined) throw new Error('there is no invitation');
  const key = createPasskey(publicUrl);
  const { challenge, options } = passkeys.beginRegistration(jane, record);
  const result = await passkeys.finishRegistration(challenge, key.create(options));
  if (result.kind === 'wrong') throw new Error('the passkey was not accepted');
  await enrolment.addPasskey(jane, grant, { ...result.key, name: 'laptop' });
  return key;
}

const logIn = (place: LoginPlace, body: object) =>
  logInAtTerminal(place.request({ body: {} }), { ...credentials, ...body });

export const atTerminal = (place: LoginPlace): Promise<void> => logIn(place, {});

export async function atTerminalWithCode(place: LoginPlace): Promise<void> {
  const secret = await addApp(place);
  await logIn(place, { code: computeAppCode(secret) });
}

type Browser = Awaited<ReturnType<typeof openBrowser>>;

async function confirmAndRedeem({ reach }: LoginPlace, browser: Browser): Promise<void> {
  const code = await browser.confirm();
  await reach('after the confirmation');
  await browser.redeem(code);
}

async function inBrowserWith(
  place: LoginPlace,
  proveFactor?: (browser: Browser) => Promise<unknown>,
): Promise<void> {
  const browser = await openBrowser(place);
  const { location } = await browser.sendPassword();
  await place.reach('after the password');
  if (location.endsWith('/factor')) {
    await proveFactor?.(browser);
    await place.reach('after the second factor');
  }
  await confirmAndRedeem(place, browser);
}

export const inBrowser = (place: LoginPlace): Promise<void> => inBrowserWith(place);

export async function inBrowserWithCode(place: LoginPlace): Promise<void> {
  const secret = await addApp(place);
  await inBrowserWith(place, (browser) => browser.sendCode(computeAppCode(secret)));
}

export async function inBrowserWithPasskey(place: LoginPlace): Promise<void> {
  const key = await addPasskey(place);
  await inBrowserWith(place, (browser) => browser.sendPasskey((options) => key.get(options)));
}

export async function atProvider(place: LoginPlace): Promise<void> {
  const browser = await openBrowser(place);
  const answer = await browser.goToProvider();
  await place.reach('at the provider');
  await browser.bringAnswer(answer);
  await place.reach('after the answer of the provider');
  await confirmAndRedeem(place, browser);
}

export async function addAppAtTerminal(place: LoginPlace): Promise<void> {
  const invitation = await place.invite();
  const context = { body: { enrolment: '' } };
  await enrolApp(place.request(context), { ...credentials, invitation, label: newLabel });
  const { enrolment } = context.body;
  await place.reach('after it has begun');
  const code = computeAppCode(place.factors().apps.read(enrolment)?.secret ?? '');
  await enrolApp(place.request({ body: {} }), { enrolment, code });
}

const factorsPath = '/login/:attempt/factors';

async function visitFactors(place: LoginPlace): Promise<Browser> {
  const browser = await openBrowser(place);
  await browser.openFactors(await place.invite());
  await browser.sendPassword();
  await place.reach('after the password');
  return browser;
}

export async function addAppInBrowser(place: LoginPlace): Promise<void> {
  const browser = await visitFactors(place);
  const { html } = await browser.submit(factorsPath, factorsPath, () => ({
    action: 'app',
    label: newLabel,
  }));
  await place.reach('after it has begun');
  const enrolment = findText(html, /name="enrolment" value="([^"]+)"/);
  const code = computeAppCode(place.factors().apps.read(enrolment)?.secret ?? '');
  const form = findText(html, /name="form" value="([^"]+)"/);
  const fields = { form, action: 'app-code', enrolment, code };
  await browser.send(`post ${factorsPath}`, { form: fields });
}

export async function addPasskeyInBrowser(place: LoginPlace): Promise<void> {
  const browser = await visitFactors(place);
  const key = createPasskey(publicUrl);
  await browser.submit(factorsPath, factorsPath, (html) => ({
    action: 'passkey',
    label: newLabel,
    response: key.create(readOptions(html)),
  }));
}
