import { type ForgedProvider, startForgedProvider } from '@sallyport/test-servers/forged-provider';
import { type OpenIdProvider, startOpenIdProvider } from '@sallyport/test-servers/oidc-provider';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readTrailSoFar } from './testing/audit-trail.ts';
import {
  beginLogin,
  codeOf,
  confirmLogin,
  createFormBrowser,
  redeemCode,
  titleOf,
  tokenOf,
} from './testing/browser-login.ts';
import { clusters, type LoginPlace, startLogin } from './testing/login-gateway.ts';
import {
  bringAnswer,
  clientId,
  goToProvider,
  logInAtProvider,
  redirectUriOf,
  withProviders,
} from './testing/provider-login.ts';

const keyPrefix = 'sallyport.example.com';
const clientSecret = randomToken(32);
const jane = {
  sub: '7',
  login: 'jane',
  password: randomToken(),
  claims: { email: 'jane@example.com', email_verified: true, groups: ['k8s-dev', 'sales'] },
  acr: 'urn:two-factors',
  amr: ['pwd', 'otp'],
};

/** It is certified, and its users are in no directory. */
let sso: OpenIdProvider;
/** A provider that one test stops for good: the gateway asks none again within 5 s of a failure. */
let partner: OpenIdProvider;
/** It names the user that a test says, and has the directory corp. */
let staff: ForgedProvider;
let place: LoginPlace;
beforeAll(async () => {
  const client = { client_id: clientId, client_secret: clientSecret };
  const startCertified = (name: string) =>
    startOpenIdProvider({
      clients: [{ ...client, redirect_uris: [redirectUriOf(name)] }],
      accounts: [jane],
    });
  [sso, partner, staff] = await Promise.all([
    startCertified('sso'),
    startCertified('partner'),
    startForgedProvider(),
  ]);
  const claimMappings = {
    username: { claim: 'email' },
    uid: { claim: 'sub' },
    groups: { claim: 'groups' },
    extra: [{ key: 'example.com/level', claim: 'acr' }],
  };
  const { others, login, files } = withProviders({
    sso: {
      server: sso,
      clientSecret,
      issuer: { claimMappings },
      entry: { groups: { prefix: 'sso:', allow: ['k8s-*'] } },
      more: { title: 'Example SSO', scopes: ['openid', 'email', 'groups'] },
    },
    partner: { server: partner, clientSecret },
    staff: {
      server: staff,
      entry: { groups: undefined, directory: { authenticator: 'corp', refresh: '1s' } },
    },
  });
  place = await startLogin({
    count: 2,
    others,
    files,
    login: { ...login, ttl: '12h', maxSessions: 100 },
    more: { audit: { output: 'audit.log' }, provenance: { keyPrefix } },
  });
});
afterAll(async () => {
  await place[Symbol.asyncDispose]();
  await Promise.all([sso, partner, staff].map((one) => one[Symbol.asyncDispose]()));
});

type Name = 'sso' | 'partner' | 'staff';

/** What a person does until they have a code. */
async function codeAt(name: Name, more: object = {}) {
  const [login, browser] = [await beginLogin(place, more), createFormBrowser(place)];
  const certified = { sso, partner, staff: undefined }[name];
  const visit = certified ? (url: string) => certified.logIn(url, jane) : staff.visit;
  const answer = await logInAtProvider(browser, login, name, visit);
  if (answer.status !== 303) throw new Error(`the login was answered ${titleOf(answer)}`);
  return { ...login, code: codeOf(await confirmLogin(browser, login)) };
}

async function sessionAt(name: Name, more: object = {}): Promise<string> {
  const { code, verifier } = await codeAt(name, more);
  return tokenOf(await redeemCode(place, code, verifier));
}

/** Adds a person to the directory. `staff` names that person from now on. @param sid the session at the provider */
async function join(name: string, sid?: string) {
  const groups = [`k8s-${name}`];
  const person = await place.people.add(name, ...groups);
  signInAs(name, sid);
  return person;
}

const signInAs = (sub: string, sid?: string) =>
  staff.forge({
    claims: (claims) => ({ ...claims, sub, groups: ['from-the-token'], ...(sid && { sid }) }),
    tokens: (tokens) => {
      secret(String(tokens.id_token));
      return tokens;
    },
  });

async function isAccepted(token: string): Promise<boolean> {
  return (await place.reviews(token)).every(({ authenticated }) => authenticated === true);
}
const untilRefused = (token: string) =>
  waitFor(
    async () => (await place.reviews(token)).every(({ authenticated }) => !authenticated),
    'the session to be refused',
  );

test('a person of a provider gets a session with what the ID token says of them, for one cluster and 8 hours', async () => {
  const began = Date.now();
  const { code, verifier } = await codeAt('sso', { device: 'laptop' });
  const answer = await redeemCode({ ...place, at: 1 }, code, verifier);
  const token = tokenOf(answer);
  const user = {
    username: 'sso:jane@example.com',
    uid: '7',
    groups: ['sso:k8s-dev'],
    extra: { 'example.com/level': ['urn:two-factors'] },
  };
  expect(answer.json?.user).toEqual(user);
  expect(answer.json?.login).toBe(jane.claims.email);
  // `login.ttl` is 12 hours, and no one finds out about a disabled account.
  const start = Date.parse(String(answer.json?.expiresAt)) - 8 * 3_600_000;
  expect([began - 1 < start, start <= Date.now()]).toEqual([true, true]);
  for (const { user: seen, ...status } of await place.reviews(token)) {
    expect(status).toEqual({ authenticated: true, audiences: [clusters.prod.audience] });
    expect(seen).toMatchObject(user);
    expect(seen?.extra).toMatchObject({
      [`${keyPrefix}/authenticator`]: ['sessions'],
      [`${keyPrefix}/authenticated-at`]: [expect.stringMatching(/^20.*Z$/)],
    });
  }
  for (const status of await place.reviews(token, clusters.staging.audience))
    expect(status).toEqual({ authenticated: false });
  expect(await place.ask({ method: 'GET', path: '/v1/session', token })).toMatchObject({
    status: 200,
    json: { cluster: 'prod', device: 'laptop', user },
  });
  const known = {
    provider: 'sso',
    authenticator: 'sso',
    username: user.username,
    cluster: 'prod',
    device: 'laptop',
  };
  const lines = await Promise.all(
    place.replicas.gateways.map(({ folder }) => readTrailSoFar(folder)),
  );
  const redeemed = await waitFor(
    async () =>
      (await Promise.all(place.replicas.gateways.map(({ folder }) => readTrailSoFar(folder))))
        .flat()
        .find(({ session, device }) => session !== undefined && device === 'laptop'),
    'the line of the session',
  );
  expect(redeemed).toMatchObject({
    ...known,
    outcome: 'ok',
    acr: jane.acr,
    amr: jane.amr,
    authTime: expect.stringMatching(/^20.*Z$/),
  });
  expect(lines.flat().filter((line) => JSON.stringify(line).includes('sales'))).toEqual([]);
});

test('a session outlives the provider, and is not looked up there', async () => {
  const token = await sessionAt('partner');
  const [login, browser] = [await beginLogin(place), createFormBrowser(place)];
  const { searchParams } = await goToProvider(browser, login, 'partner');
  // A reload for a test before this one may fetch keys there now.
  const askedOfUsers = () => partner.asked.filter((path) => !/well-known|jwks/.test(path));
  const before = askedOfUsers();
  expect(await isAccepted(token)).toBe(true);
  expect(askedOfUsers()).toEqual(before);
  await partner.stop();
  expect(await isAccepted(token)).toBe(true);
  const state = searchParams.get('state') ?? '';
  const query = new URLSearchParams({ state, code: randomToken(), iss: partner.url });
  const answer = await browser.get(`/login/callback/partner?${query}`);
  expect([answer.status, titleOf(answer)]).toEqual([503, 'Provider not available']);
});

test('with a directory, groups are of the account there, and the session ends with it', async () => {
  const person = await join('ella');
  const token = await sessionAt('staff');
  const user = { username: 'staff:ella', groups: ['corp:k8s-ella'] };
  for (const status of await place.reviews(token))
    expect(status).toMatchObject({ authenticated: true, user });
  const group = `cn=k8s-ella,ou=groups,${place.people.slapd.suffix}`;
  await place.people.slapd.modify(`dn: ${group}\nchangetype: delete\n`);
  await waitFor(
    async () =>
      (await place.reviews(token)).every(({ user: seen }) => (seen?.groups ?? []).length === 0),
    'the group to be gone',
  );
  expect(await isAccepted(token)).toBe(true);
  await place.people.slapd.modify(`dn: ${person.dn}\nchangetype: delete\n`);
  await untilRefused(token);
  const [login, browser] = [await beginLogin(place), createFormBrowser(place)];
  const refused = await logInAtProvider(browser, login, 'staff', staff.visit);
  expect([refused.status, titleOf(refused)]).toEqual([401, 'User not accepted']);
});

test('a block of the user or of the session at the provider, and a revocation, end sessions and logins in progress', async () => {
  const { operator } = place.replicas;
  const run = async (...words: string[]) =>
    expect([words, (await operator.run(words)).code]).toEqual([words, 0]);
  const user = ['--user', 'staff:finn'];
  await join('finn', 'sid-one');
  const [first, pending] = [await sessionAt('staff'), await codeAt('staff')];
  signInAs('finn', 'sid-two');
  const [second, other] = [await sessionAt('staff'), await codeAt('staff')];
  // The session at the provider: docs of the JWT authenticator.
  await run('block', '--sid', 'sid-one', '--for', '1h');
  await untilRefused(first);
  expect(await isAccepted(second)).toBe(true);
  expect((await redeemCode(place, pending.code, pending.verifier)).status).toBe(401);
  await run('unblock', '--sid', 'sid-one');
  await waitFor(() => isAccepted(first), 'the block to end');
  await run('block', ...user, '--for', '1h');
  await Promise.all([untilRefused(first), untilRefused(second)]);
  const [login, browser] = [await beginLogin(place), createFormBrowser(place)];
  const refused = await logInAtProvider(browser, login, 'staff', staff.visit);
  expect([refused.status, titleOf(refused)]).toEqual([401, 'User not accepted']);
  expect((await redeemCode(place, other.code, other.verifier)).status).toBe(401);
  await run('unblock', ...user);
  await waitFor(() => isAccepted(second), 'the block to end');
  const third = await codeAt('staff');
  // Someone keeps the answer of the provider.
  const [kept, keeper] = [await beginLogin(place), createFormBrowser(place)];
  const answer = await staff.visit((await goToProvider(keeper, kept, 'staff')).href);
  await run('revoke', ...user);
  await Promise.all([untilRefused(first), untilRefused(second)]);
  await bringAnswer(keeper, answer);
  const fourth = { ...kept, code: codeOf(await confirmLogin(keeper, kept)) };
  for (const { code, verifier } of [third, fourth]) {
    const late = await redeemCode(place, code, verifier);
    expect([late.status, late.json?.code]).toEqual([401, 'wrong-code']);
  }
  expect(await isAccepted(await sessionAt('staff'))).toBe(true);
});

test('a block of the account in the directory ends a login in progress, and no session is left', async () => {
  const { operator } = place.replicas;
  await join('hugo');
  const { code, verifier } = await codeAt('staff');
  const account = ['--user', 'corp:hugo'];
  expect((await operator.run(['block', ...account, '--for', '1h'])).code).toBe(0);
  const late = await redeemCode(place, code, verifier);
  expect([late.status, late.json?.code]).toEqual([401, 'wrong-code']);
  const listed = await operator.run(['token', 'list', '--user', 'staff:hugo']);
  expect([listed.code, listed.stderr]).toEqual([3, expect.stringContaining('has no session of')]);
});

test('where only providers log people in, a password is refused as such, and so is a login for a cluster that is gone', async () => {
  const [login, browser] = [await beginLogin(place), createFormBrowser(place)];
  const { login: written, ...rest } = place.config as { readonly login: object };
  const [gateway] = place.replicas.gateways;
  if (gateway === undefined) throw new Error('no gateway');
  const configure = async (config: object) => {
    await gateway.configure(config as Record<string, unknown>);
    await gateway.reload();
  };
  try {
    const { staging } = clusters;
    await configure({ ...rest, login: { ...written, authenticators: [], clusters: { staging } } });
    const body = { username: 'jane', password: randomToken(), cluster: 'staging' };
    const answer = await place.ask({ body });
    expect([answer.status, answer.json?.code]).toEqual([400, 'bad-request']);
    expect(answer.json?.message).toContain("this server doesn't accept passwords");
    const page = await browser.get(login.path);
    expect([page.status, titleOf(page)]).toEqual([404, 'Unknown cluster']);
  } finally {
    await configure(place.config);
  }
  expect((await browser.get(login.path)).status).toBe(200);
});

test('without its provider in the config, or with another authenticator there, a session is refused, and a login in progress ends', async () => {
  await join('gus');
  const [token, pending] = [await sessionAt('staff'), await codeAt('staff')];
  // Two logins that have not come as far: one is at the provider, and one is to be confirmed.
  const [visitor, proven] = [createFormBrowser(place), createFormBrowser(place)];
  const [atProvider, unconfirmed] = [await beginLogin(place), await beginLogin(place)];
  const answer = await staff.visit((await goToProvider(visitor, atProvider, 'staff')).href);
  expect((await logInAtProvider(proven, unconfirmed, 'staff', staff.visit)).status).toBe(303);
  const { login, authenticators, ...rest } = place.config as {
    readonly login: { readonly providers: Readonly<Record<string, object>> };
    readonly authenticators: readonly { readonly name: string }[];
  };
  const { staff: written, ...left } = login.providers;
  const renamed = authenticators.map((one) =>
    one.name === 'staff' ? { ...one, name: 'crew' } : one,
  );
  const configure = async (config: object) => {
    for (const gateway of place.replicas.gateways) {
      await gateway.configure(config as Record<string, unknown>);
      await gateway.reload();
    }
  };
  try {
    await configure({ ...rest, authenticators, login: { ...login, providers: left } });
    await untilRefused(token);
    expect((await bringAnswer(visitor, answer)).status).toBe(404);
    const code = codeOf(await confirmLogin(proven, unconfirmed));
    for (const begun of [pending, { ...unconfirmed, code }])
      expect((await redeemCode(place, begun.code, begun.verifier)).status).toBe(401);
    const crew = { ...written, authenticator: 'crew' };
    const providers = { ...left, staff: crew };
    await configure({ ...rest, authenticators: renamed, login: { ...login, providers } });
    await untilRefused(token);
    // The name of the provider stays, and another client has it.
    const other = { ...written, clientId: 'other' };
    const accepting = JSON.parse(
      JSON.stringify(authenticators).replaceAll(`["${clientId}"]`, `["${clientId}","other"]`),
    );
    await configure({
      ...rest,
      authenticators: accepting,
      login: { ...login, providers: { ...left, staff: other } },
    });
    await untilRefused(token);
  } finally {
    await configure(place.config);
  }
  await waitFor(() => isAccepted(token), 'the session to be accepted again');
});
