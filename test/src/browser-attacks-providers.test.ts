import type { ForgedProvider, Forgery } from '@sallyport/test-servers/forged-provider';
import { findLeaks } from '@sallyport/test-servers/leaks';
import { secret, secretsInUse } from '@sallyport/test-servers/tokens';
import { beforeEach, describe, expect, test } from 'vitest';
import type { LoginAnswer } from './testing/ask-login.ts';
import {
  type BegunLogin,
  beginLogin,
  codeOf,
  confirmLogin,
  createFormBrowser,
  type FormBrowser,
  redeemCode,
  stepOf,
  titleOf,
  tokenOf,
} from './testing/browser-login.ts';
import { bringAnswer, clientId, goToProvider, logInAtProvider } from './testing/provider-login.ts';
import { contentsOf } from './testing/redis-contents.ts';
import { metricsText } from './testing/scrape.ts';
import { shareLogin } from './testing/shared-login.ts';

const place = await shareLogin();
const { one, two } = place.providers;

/** The keys of all sessions. */
const sessions = async () => (await place.redis.client().keys('sessions:*')).sort();
let before: readonly string[] = [];
beforeEach(async () => {
  for (const provider of [one, two]) forge(provider, {});
  before = await sessions();
});

/** Forges answers, and notes the tokens as secrets. */
function forge(provider: ForgedProvider, forgery: Forgery): void {
  provider.forge({
    ...forgery,
    tokens(right) {
      const tokens = forgery.tokens?.(right) ?? right;
      for (const key of ['id_token', 'access_token'])
        if (typeof tokens[key] === 'string') secret(tokens[key]);
      return tokens;
    },
  });
}

const begin = async () => [await beginLogin(place), createFormBrowser(place)] as const;
const visitOne = (url: string) => one.visit(url);

/** Checks that no one is logged in, here and in Redis, and that the page says why. */
async function expectNotLoggedIn(
  browser: FormBrowser,
  { id, path }: BegunLogin,
  answer: LoginAnswer,
  expected: readonly [status: number, problem: string],
): Promise<void> {
  expect([answer.status, titleOf(answer)]).toEqual(expected);
  expect(answer.headers.location).toBeUndefined();
  const confirm = await browser.get(`${path}/confirm`);
  expect([confirm.status, confirm.headers.location]).toEqual([303, path]);
  expect(await place.redis.client().keys(`*${id}*`)).toEqual([]);
  expect(await sessions()).toEqual(before);
}

const failed = [400, 'Login at the provider failed'] as const;
const refused = [401, 'User not accepted'] as const;
const denied = [401, 'Login cancelled or refused'] as const;
const unavailable = [503, 'Provider not available'] as const;
const otherBrowser = [403, 'Other browser, or no cookies'] as const;

const seconds = () => Math.floor(Date.now() / 1000);
const withClaims = (changed: object): Forgery => ({
  claims: (claims) => ({ ...claims, ...changed }),
});
const without = (name: string): Forgery => ({
  claims: ({ [name]: _, ...claims }) => claims,
});

describe('no one is logged in by', () => {
  test.each<{ name: string; forgery: Forgery; expected: readonly [number, string] }>([
    {
      name: 'an ID token for another client',
      forgery: withClaims({ aud: 'other' }),
      expected: failed,
    },
    {
      name: 'an ID token for another client that the authenticator accepts',
      forgery: withClaims({ aud: 'kubernetes' }),
      expected: failed,
    },
    {
      name: 'an ID token that another client got',
      forgery: withClaims({ azp: 'kubernetes' }),
      expected: failed,
    },
    {
      name: 'an ID token for two clients, which the other one got',
      forgery: withClaims({ aud: [clientId, 'kubernetes'], azp: 'kubernetes' }),
      expected: failed,
    },
    {
      name: 'an ID token of another issuer',
      forgery: withClaims({ iss: 'https://evil.example.com' }),
      expected: failed,
    },
    {
      name: 'an ID token that has expired',
      forgery: withClaims({ exp: seconds() - 3_600 }),
      expected: failed,
    },
    { name: 'an ID token without an end', forgery: without('exp'), expected: failed },
    {
      name: 'an ID token of the future',
      forgery: withClaims({ nbf: seconds() + 3_600 }),
      expected: failed,
    },
    {
      name: 'an ID token with another nonce',
      forgery: withClaims({ nonce: 'x'.repeat(43) }),
      expected: failed,
    },
    { name: 'an ID token without a nonce', forgery: without('nonce'), expected: failed },
    { name: 'an ID token without a subject', forgery: without('sub'), expected: failed },
    {
      name: 'an ID token without a signature',
      forgery: { header: (header) => ({ ...header, alg: 'none' }) },
      expected: failed,
    },
    {
      name: 'an ID token that claims a shared key',
      forgery: { header: (header) => ({ ...header, alg: 'HS256' }) },
      expected: failed,
    },
    {
      name: 'an ID token of another algorithm',
      forgery: { header: (header) => ({ ...header, alg: 'RS256' }) },
      expected: failed,
    },
    { name: 'an ID token of a foreign key', forgery: { isForeignKey: true }, expected: refused },
    {
      name: 'an answer without an ID token',
      forgery: { tokens: ({ id_token: _, ...tokens }) => tokens },
      expected: failed,
    },
    {
      name: 'an ID token that is none',
      forgery: { tokens: (tokens) => ({ ...tokens, id_token: 'x.y.z' }) },
      expected: failed,
    },
    {
      name: 'an answer with another state',
      forgery: { redirect: (query) => ({ ...query, state: `${query.state}x` }) },
      expected: failed,
    },
    {
      name: 'an answer without a code',
      forgery: { redirect: ({ code: _, ...query }) => query },
      expected: failed,
    },
    {
      name: 'an answer of another issuer',
      forgery: { redirect: (query) => ({ ...query, iss: 'https://evil.example.com' }) },
      expected: failed,
    },
    {
      name: 'an answer without its issuer',
      forgery: { redirect: ({ iss: _, ...query }) => query },
      expected: failed,
    },
    {
      name: 'a person who cancels',
      forgery: { redirect: ({ code: _, ...query }) => ({ ...query, error: 'access_denied' }) },
      expected: denied,
    },
    {
      name: 'an error that no one knows',
      forgery: { redirect: ({ code: _, ...query }) => ({ ...query, error: '<img src=x>' }) },
      expected: failed,
    },
    {
      name: 'an answer without a state',
      forgery: { redirect: ({ state: _, ...query }) => query },
      expected: otherBrowser,
    },
    {
      name: 'a provider with an error',
      forgery: { answer: (path, right) => (path === '/token' ? { ...right, status: 500 } : right) },
      expected: unavailable,
    },
    {
      name: 'a provider that sends us elsewhere',
      forgery: {
        answer: (path, right) =>
          path === '/token'
            ? { ...right, status: 307, headers: { location: 'https://evil.example.com/' } }
            : right,
      },
      expected: unavailable,
    },
    {
      name: 'a provider that talks garbage',
      forgery: {
        answer: (path, right) => (path === '/token' ? { ...right, body: '<html>' } : right),
      },
      expected: unavailable,
    },
  ])('$name', async ({ forgery, expected }) => {
    forge(one, forgery);
    const [login, browser] = await begin();
    const answer = await logInAtProvider(browser, login, 'one', visitOne);
    await expectNotLoggedIn(browser, login, answer, expected);
    // The same browser can try again, with a right answer.
    forge(one, {});
    expect(stepOf(await logInAtProvider(browser, login, 'one', visitOne))).toBe('confirm');
    await confirmLogin(browser, login, 'cancel');
  });

  test('the answer of another provider, of another login or in another browser', async () => {
    const [login, browser] = await begin();
    const [other, stranger] = await begin();
    const at = async (of: BegunLogin, name: string) => {
      const provider = name === 'one' ? one : two;
      return provider.visit((await goToProvider(browser, of, name)).href);
    };
    const changed = (
      answer: URL,
      more: Readonly<Record<string, string | null>>,
      path = answer.pathname,
    ) => {
      const url = new URL(path, answer);
      url.search = String(new URLSearchParams(answer.search));
      for (const [name, value] of Object.entries(more)) url.searchParams.set(name, value ?? '');
      return url;
    };
    const answer = await at(login, 'one');
    const second = await at(other, 'one');
    const elsewhere = answer.pathname.replace('/one', '/two');
    const stateOf = (url: URL) => url.searchParams.get('state');
    const expectFailed = async (of: BegunLogin, url: URL, expected: readonly [number, string]) =>
      expectNotLoggedIn(browser, of, await bringAnswer(browser, url), expected);
    // Mix-up: RFC 9700, section 4.4.
    await expectFailed(login, changed(answer, {}, elsewhere), otherBrowser);
    await expectFailed(login, changed(answer, { iss: two.url }, elsewhere), otherBrowser);
    // The code of one login with the state of the other: its nonce is of the first.
    await expectFailed(other, changed(answer, { state: stateOf(second) }), failed);
    await expectFailed(login, changed(answer, { state: '' }), otherBrowser);
    await expectFailed(login, changed(answer, { state: `${login.id}.` }), failed);
    await expectFailed(login, changed(answer, { state: 'a'.repeat(16) }), otherBrowser);
    // An answer with the right state ends what was begun there, whatever becomes of it.
    await expectFailed(login, changed(answer, { iss: two.url }), failed);
    await expectFailed(login, answer, otherBrowser);
    const twice = new URL(await at(login, 'one'));
    twice.searchParams.append('code', 'x');
    await expectFailed(login, twice, failed);
    const tokens = one.tokenRequests.length;
    // A browser that began nothing, and one that opened the page of this login only.
    for (const open of [false, true]) {
      if (open) await stranger.get(login.path);
      await expectNotLoggedIn(stranger, login, await bringAnswer(stranger, answer), otherBrowser);
    }
    expect(one.tokenRequests).toHaveLength(tokens);
    // A login that was begun there again has another state.
    const again = await at(login, 'one');
    await expectFailed(login, answer, failed);
    await at(login, 'two');
    await expectFailed(login, again, otherBrowser);
    expect((await bringAnswer(browser, await at(login, 'two'))).status).toBe(303);
    await confirmLogin(browser, login, 'cancel');
    // After its end an answer changes nothing.
    const late = await bringAnswer(browser, await at(login, 'two'));
    expect([late.status, titleOf(late)]).toEqual([409, 'Login already finished']);
  });
});

test('of a hundred people who log in concurrently, each gets their own session, whoever brings the answer of another one', async () => {
  const names = new Map<unknown, string>();
  forge(one, { claims: (claims) => ({ ...claims, sub: names.get(claims.nonce) }) });
  const people = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      // No address may have so many requests in progress.
      const from = { ...place, localAddress: `127.0.2.${index + 1}` };
      const [login, browser] = [await beginLogin(from), createFormBrowser(from)];
      const url = await goToProvider(browser, login, 'one');
      const name = `person-${index}`;
      names.set(url.searchParams.get('nonce'), name);
      return { name, from, login, browser, answer: await one.visit(url.href) };
    }),
  );
  const tokens = one.tokenRequests.length;
  const answers = people.map(({ answer }) => answer);
  const swapped = await Promise.all(
    people.map(({ browser }, index) =>
      bringAnswer(browser, answers[(index + 1) % answers.length] as URL),
    ),
  );
  expect(new Set(swapped.map(titleOf))).toEqual(new Set([otherBrowser[1]]));
  expect(one.tokenRequests).toHaveLength(tokens);
  const users = await Promise.all(
    people.map(async ({ from, login, browser, answer }) => {
      const brought = await bringAnswer(browser, answer);
      if (stepOf(brought) !== 'confirm') throw new Error(`answered ${titleOf(brought)}`);
      const code = codeOf(await confirmLogin(browser, login));
      const token = tokenOf(await redeemCode(from, code, login.verifier));
      const [status] = await place.reviews(token);
      return status?.user?.username;
    }),
  );
  expect(users).toEqual(people.map(({ name }) => `one:${name}`));
});

test('a refused ID token is explained in the log, and the next attempt there asks for another user', async () => {
  const from = place.replicas.gateways[0]?.output.lines.length;
  const [login, browser] = await begin();
  forge(one, { isForeignKey: true });
  const answer = await logInAtProvider(browser, login, 'one', visitOne);
  expect([answer.status, titleOf(answer)]).toEqual(refused);
  expect(answer.text).toContain(`href="${login.path}/provider/one?other"`);
  const line = await place.replicas.gateways[0]?.waitForLog('ID token refused', from);
  expect(line).toMatchObject({
    provider: 'one',
    authenticator: 'one',
    reason: 'invalid-credentials',
    steps: [expect.stringContaining(`issuer ${one.url}: `)],
  });
  const { headers } = await browser.get(`${login.path}/provider/one?other`);
  const asked = new URL(headers.location ?? '').searchParams;
  expect([asked.get('prompt'), asked.get('login_hint')]).toEqual(['login', null]);
});

test.each([
  { name: 'contains U+FFFD', sub: 'jane\uFFFD', why: 'the name contains U+FFFD' },
  { name: 'is too long', sub: 'j'.repeat(20_000), why: 'the session would have ' },
])(
  'a user of whom no session can be stored is refused before the confirmation: the name $name',
  async ({ sub, why }) => {
    const from = place.replicas.gateways[0]?.output.lines.length;
    const [login, browser] = await begin();
    forge(one, withClaims({ sub }));
    const answer = await logInAtProvider(browser, login, 'one', visitOne);
    await expectNotLoggedIn(browser, login, answer, refused);
    const line = await place.replicas.gateways[0]?.waitForLog('ID token refused', from);
    expect(line).toMatchObject({ reason: 'session-not-storable', subject: sub });
    expect(JSON.stringify(line?.steps)).toContain(why);
  },
);

test('the person that the provider names is shown and gets the session, whatever name was proposed', async () => {
  const from = place.replicas.gateways[0]?.output.lines.length;
  const [login, browser] = [await beginLogin(place, { username: 'bob' }), createFormBrowser(place)];
  const url = await goToProvider(browser, login, 'one');
  expect(Object.fromEntries(url.searchParams)).toMatchObject({
    login_hint: 'bob',
    client_id: clientId,
  });
  await bringAnswer(browser, await one.visit(url.href));
  const { text } = await browser.get(`${browser.at(login.path)}/confirm`);
  expect(text).toContain('<bdi>one:jane</bdi>');
  // Their ID token has no groups, so they could do little.
  const message = 'user of a provider has no groups';
  const line = await place.replicas.gateways[0]?.waitForLog(message, from);
  expect(line).toMatchObject({ level: 'info', provider: 'one', username: 'one:jane' });
  expect(text).not.toContain('bob');
  const answer = await redeemCode(
    place,
    codeOf(await confirmLogin(browser, login)),
    login.verifier,
  );
  const token = tokenOf(answer);
  expect(answer.json?.user).toEqual({ username: 'one:jane' });
  const accepted = { authenticated: true, user: { username: 'one:jane' } };
  expect(await place.reviews(token)).toMatchObject([accepted, accepted]);
});

test('nothing secret of a login is in Redis, in a metric, on a page or in what it asks of others', async () => {
  const [login, browser] = await begin();
  const { path } = login;
  await logInAtProvider(browser, login, 'one', visitOne);
  const record = () => place.redis.client().get(`sallyport:cache-login:${login.id}`);
  const records = [await record()];
  const state = await contentsOf(place.redis);
  const code = codeOf(await confirmLogin(browser, login));
  records.push(await record());
  const confirmed = await contentsOf(place.redis);
  const token = tokenOf(await redeemCode(place, code, login.verifier));
  const [gateway] = place.replicas.gateways;
  if (gateway === undefined) throw new Error('no gateway');
  await place.reviews(token);
  const written = [state, confirmed, await contentsOf(place.redis), await metricsText(gateway)];
  expect(findLeaks(written.join('\n'), secretsInUse())).toEqual([]);
  // Nor does the record of a login in progress show who it is.
  expect(records.filter((text) => text === null || /jane/.test(text))).toEqual([]);
  // The secret of the client, and no other, goes to the provider, with a proof of our own.
  const form = one.tokenRequests.at(-1);
  expect([...(form?.keys() ?? [])].sort()).toEqual([
    'code',
    'code_verifier',
    'grant_type',
    'redirect_uri',
  ]);
  const cookies = [...browser.cookies.values()].join();
  expect(findLeaks(cookies + path, [form?.get('code_verifier') ?? '', login.verifier])).toEqual([]);
});
