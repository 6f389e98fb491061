import { startForgedProvider } from '@sallyport/test-servers/forged-provider';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
import { expectCalm } from './testing/calm.ts';
import { type LoginPlace, startLogin } from './testing/login-gateway.ts';
import { goToProvider, withProviders } from './testing/provider-login.ts';

let sessions: RedisServer;
let place: LoginPlace;
beforeAll(async () => {
  sessions = await startRedis();
  place = await startLogin({
    login: { browser: true, limits: { perAddress: '1000/s', inFlight: 8 }, maxSessions: 100 },
    sessions: { url: sessions.url },
    // A directory that hangs is waited for, however slow this machine is.
    more: { server: { reviewTimeout: '30s' } },
  });
});
afterAll(async () => {
  await place[Symbol.asyncDispose]();
  await sessions[Symbol.asyncDispose]();
  for (const { output } of place.replicas.gateways) {
    expect(output.text()).not.toContain('a bug');
    expectCalm(output.text());
  }
});

const pageIs = (answer: LoginAnswer) => [answer.status, titleOf(answer)];
const unavailable = [503, 'Login not possible now'];
const atTerminal = ({
  name: username,
  password,
}: {
  readonly name: string;
  readonly password: string;
}) => place.ask({ body: { username, password, cluster: 'prod' } });

/** Waits until logins in a browser work, from the beginning to the session. */
async function untilUsual(person: {
  readonly name: string;
  readonly password: string;
}): Promise<void> {
  const isUsual = async () => {
    const done = await codeWithPassword(place, person).catch(() => undefined);
    return done !== undefined && (await redeemCode(place, done.code, done.verifier)).status === 201;
  };
  await waitFor(isUsual, 'logins in a browser to work again');
}

test('while the cache Redis is down, pages say so, and logins at a terminal go on', async () => {
  const { people, redis } = place;
  const person = await people.add('cacheless');
  const [login, open, browser] = [
    await beginLogin(place),
    await beginLogin(place),
    createFormBrowser(place),
  ];
  await sendPassword(browser, login, person);
  const confirmation = `${browser.at(login.path)}/confirm`;
  const confirm = formTokenOf(await browser.get(confirmation));
  const form = formTokenOf(await browser.get(open.path));
  const { code, verifier } = await codeWithPassword(place, person);
  await redis.stop();
  try {
    // No one should type a password for nothing. A person who had the page before gets the same answer.
    expect(pageIs(await browser.get(open.path))).toEqual(unavailable);
    const values = { form, username: person.name, password: person.password };
    expect(pageIs(await browser.post(`${open.path}/password`, values))).toEqual(unavailable);
    expect(pageIs(await browser.get(confirmation))).toEqual(unavailable);
    for (const answer of ['code', 'redirect', 'cancel']) {
      const sent = await browser.post(confirmation, { form: confirm, answer });
      expect([sent.status, sent.headers.location]).toEqual([503, undefined]);
    }
    const redeemed = await redeemCode(place, code, verifier);
    expect([redeemed.status, redeemed.json?.code]).toEqual([503, 'unavailable']);
    await beginLogin(place);
    tokenOf(await atTerminal(person));
  } finally {
    await redis.start();
  }
  await untilUsual(person);
});

test('while the session Redis is down, a code gets an error, and ends', async () => {
  const person = await place.people.add('sessionless');
  const { code, verifier } = await codeWithPassword(place, person);
  await sessions.stop();
  try {
    const redeemed = await redeemCode(place, code, verifier);
    expect([redeemed.status, redeemed.json?.code]).toEqual([503, 'unavailable']);
    expect((await atTerminal(person)).status).toBe(503);
  } finally {
    await sessions.start();
  }
  // It was taken before: it is not known whether a session was made.
  const again = await redeemCode(place, code, verifier);
  expect([401, 503]).toContain(again.status);
  await untilUsual(person);
  expect((await redeemCode(place, code, verifier)).status).toBe(401);
});

test('while the directory is down, a password gets an error, known or not, and what was proved goes on', async () => {
  const { people } = place;
  const person = await people.add('direct');
  const [login, browser] = [await beginLogin(place), createFormBrowser(place)];
  await sendPassword(browser, login, person);
  await people.slapd.stop();
  try {
    const [other, stranger] = [await beginLogin(place), createFormBrowser(place)];
    for (const name of [person.name, 'nobody']) {
      const sent = await sendPassword(stranger, other, { name, password: randomToken() });
      expect([name, ...pageIs(sent)]).toEqual([name, ...unavailable]);
    }
    const code = codeOf(await confirmLogin(browser, login));
    tokenOf(await redeemCode(place, code, login.verifier));
  } finally {
    await people.slapd.start();
  }
  await untilUsual(person);
});

test('while a provider hangs, answers that wait for it take no slot of logins with a password', async () => {
  await using provider = await startForgedProvider();
  const { others, login: providers, files } = withProviders({ slow: { server: provider } });
  await using site = await startLogin({
    others,
    files,
    login: { ...providers, limits: { perAddress: '1000/s', inFlight: 5 } },
  });
  const browser = createFormBrowser(site);
  const login = await beginLogin(site);
  const answer = await provider.visit((await goToProvider(browser, login, 'slow')).href);
  provider.hang();
  const before = provider.asked.length;
  const waiting = Array.from({ length: 20 }, () => browser.get(answer.pathname + answer.search));
  await waitFor(() => provider.asked.length > before, 'the provider to be asked');
  const { code, verifier } = await codeWithPassword(site, site.people.alice);
  tokenOf(await redeemCode(site, code, verifier));
  await provider.start();
  const answers = await Promise.all(waiting);
  expect([...new Set(answers.map(({ status }) => status))].sort()).toEqual([429, 503]);
});
