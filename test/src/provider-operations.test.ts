import { type ForgedProvider, startForgedProvider } from '@sallyport/test-servers/forged-provider';
import { findLeaks } from '@sallyport/test-servers/leaks';
import { randomToken, secret, secretsInUse } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AuditLine, readTrailSoFar } from './testing/audit-trail.ts';
import {
  beginLogin,
  codeOf,
  confirmLogin,
  createFormBrowser,
  redeemCode,
  sendPassword,
  tokenOf,
} from './testing/browser-login.ts';
import { type LoginPlace, publicHost, startLogin } from './testing/login-gateway.ts';
import {
  bringAnswer,
  goToProvider,
  logInAtProvider,
  withProviders,
} from './testing/provider-login.ts';
import { operatorIn } from './testing/redis-commands.ts';
import { metricsText } from './testing/scrape.ts';

/** `okta` has no directory. The accounts of `entra` are looked up in `corp`. */
let okta: ForgedProvider;
let entra: ForgedProvider;
let place: LoginPlace;
beforeAll(async () => {
  [okta, entra] = await Promise.all([startForgedProvider(), startForgedProvider()]);
  place = await startLogin({
    ...withProviders({
      okta: { server: okta, clientSecret: randomToken(), more: { ttl: '2h' } },
      entra: { server: entra, entry: { groups: {}, directory: { authenticator: 'corp' } } },
    }),
    more: { audit: { output: 'audit.log' } },
  });
});
afterAll(async () => {
  await place[Symbol.asyncDispose]();
  await Promise.all([okta[Symbol.asyncDispose](), entra[Symbol.asyncDispose]()]);
});

/** Logs a user in at a provider until the code is redeemed. @returns the token of the session */
async function logIn(name: 'okta' | 'entra', claims: object): Promise<string> {
  const server = name === 'okta' ? okta : entra;
  server.forge({
    claims: (right) => ({ ...right, ...claims }),
    tokens: (right) => {
      for (const key of ['id_token', 'access_token']) secret(String(right[key]));
      return right;
    },
  });
  const browser = createFormBrowser(place);
  const login = await beginLogin(place, { device: 'laptop' });
  await logInAtProvider(browser, login, name, (url) => server.visit(url));
  const code = codeOf(await confirmLogin(browser, login));
  return tokenOf(await redeemCode(place, code, login.verifier));
}

const isAbout = (name: string) => (line: AuditLine) =>
  line.event !== undefined && (line.username === name || line.subject === name);

/** Waits until the trail has this number of events about a user. */
const eventsOf = (name: string, count: number): Promise<readonly AuditLine[]> =>
  waitFor(async () => {
    const [gateway] = place.replicas.gateways;
    const lines = (await readTrailSoFar(gateway?.folder ?? '')).filter(isAbout(name));
    return lines.length >= count ? lines : undefined;
  }, `${count} events of ${name}`);

describe('the audit trail and the log', () => {
  test('have a line for each step of a login at a provider that decides something', async () => {
    const authTime = Math.floor(Date.now() / 1000) - 60;
    await logIn('okta', { sub: 'ann', acr: 'phr', amr: ['pwd', 'otp'], auth_time: authTime });
    const common = {
      provider: 'okta',
      authenticator: 'okta',
      username: 'okta:ann',
      cluster: 'prod',
      device: 'laptop',
      address: '127.0.0.1',
      outcome: 'ok',
    };
    const lines = await eventsOf('okta:ann', 3);
    expect(lines).toMatchObject([
      { ...common, event: 'provider-login' },
      { ...common, event: 'confirm' },
      {
        ...common,
        event: 'redeem',
        acr: 'phr',
        amr: ['pwd', 'otp'],
        authTime: new Date(authTime * 1000).toISOString(),
        session: expect.stringMatching(/^[0-9a-f]{12}$/),
        fingerprint: expect.any(String),
      },
    ]);
    expect(lines).toHaveLength(3);
    expect(findLeaks(JSON.stringify(lines), secretsInUse())).toEqual([]);
    const logged = place.replicas.gateways[0]?.output.lines.filter(
      ({ msg, username, level }) =>
        msg === 'login request' && username === 'okta:ann' && level === 'info',
    );
    expect(logged?.map(({ action }) => action)).toEqual(['provider-login', 'confirm', 'redeem']);
  });

  test('say who was refused at a provider, also after a block', async () => {
    const { operator } = place.replicas;
    expect(await operator.run(['block', '--user', 'okta:bea', '--for', '1m'])).toMatchObject({
      code: 0,
    });
    await expect(logIn('okta', { sub: 'bea' })).rejects.toThrow(/no form/);
    expect(await eventsOf('bea', 1)).toMatchObject([
      {
        event: 'provider-login',
        outcome: 'refused',
        provider: 'okta',
        reason: 'blocked',
        subject: 'bea',
      },
    ]);
    // The trail is where the gateway is.
    const [gateway] = place.replicas.gateways;
    const there = operatorIn(gateway?.folder ?? '', operator.env);
    const explained = await there.run(['explain', '--user', 'okta:bea']);
    expect(explained.stdout).toMatch(/\n\S+ +provider-login +refused +blocked +okta +/);
  });

  test('say which answer of a provider was not for its login, and which came without a login', async () => {
    const [browser, login] = [createFormBrowser(place), await beginLogin(place)];
    const { searchParams } = await goToProvider(browser, login, 'okta');
    const answer = new URL(`https://${publicHost}/login/callback/okta`);
    answer.search = `${new URLSearchParams({ state: searchParams.get('state') ?? '' })}`;
    const statuses = [];
    for (const bringer of [browser, createFormBrowser(place)])
      statuses.push((await bringAnswer(bringer, answer)).status);
    expect(statuses).toEqual([400, 403]);
    const common = { event: 'provider-login', provider: 'okta', address: '127.0.0.1' };
    const lines = await waitFor(async () => {
      const [gateway] = place.replicas.gateways;
      const ends = (await readTrailSoFar(gateway?.folder ?? '')).filter(({ reason }) =>
        ['provider-failed', 'other-browser'].includes(String(reason)),
      );
      return ends.length === 2 ? ends : undefined;
    }, 'two lines of logins that failed');
    expect(lines).toMatchObject([
      { ...common, outcome: 'refused', reason: 'provider-failed', cluster: 'prod' },
      { ...common, outcome: 'invalid', reason: 'other-browser' },
    ]);
  });

  test('have the steps of a password on the page, and who cancelled', async () => {
    const person = await place.people.add('carl', 'k8s-carl');
    const [login, browser] = [await beginLogin(place), createFormBrowser(place)];
    const wrong = { ...person, password: secret(randomToken()) };
    expect((await sendPassword(browser, login, wrong)).status).toBe(401);
    await sendPassword(browser, login, person);
    await confirmLogin(browser, login, 'cancel');
    const refused = await eventsOf('carl', 1);
    expect(refused).toMatchObject([
      {
        event: 'page-login',
        outcome: 'refused',
        reason: 'invalid-credentials',
        authenticator: 'corp',
        subject: 'carl',
      },
    ]);
    expect(await eventsOf('corp:carl', 2)).toMatchObject([
      { event: 'page-login', outcome: 'ok' },
      { event: 'confirm', outcome: 'ok', reason: 'cancelled' },
    ]);
  });
});

test('explain says how a provider logged its user in, and that no one looks them up again', async () => {
  const { operator } = place.replicas;
  const token = await logIn('okta', {
    sub: 'dora',
    groups: ['staff'],
    acr: 'phr',
    amr: ['pwd', 'otp'],
  });
  const { code, stdout } = await operator.run(['explain'], token);
  // The answer depends on whether kube-apiserver asks for the audience of the cluster.
  expect(code).toBe(4);
  expect(stdout).toContain('\nGROUPS of okta:dora, from authenticator okta\n');
  expect(stdout).toMatch(/\nstaff +okta:staff\n/);
  expect(stdout).toMatch(
    /\nSESSION\nlogged in at provider okta at \S+, acr phr, amr pwd otp\nthe groups come from the ID token; authenticator okta has no directory, so the account is not looked up again until the session ends at \S+\n/,
  );
  const inJson = JSON.parse((await operator.run(['explain', '-o', 'json'], token)).stdout);
  expect(inJson.session).toEqual({
    authenticator: 'okta',
    since: expect.any(String),
    until: expect.any(String),
    provider: { name: 'okta', acr: 'phr', amr: ['pwd', 'otp'] },
  });
  const lasts = Date.parse(inJson.session.until) - Date.parse(inJson.session.since);
  expect(lasts).toBe(2 * 3_600_000);
  const ofUser = await operator.run(['explain', '--user', 'okta:dora']);
  expect(ofUser.code).toBe(0);
  expect(ofUser.stdout).toMatch(
    /\n1 session since \S+, by provider okta, on laptop, from 127\.0\.0\.1, for cluster prod/,
  );
  expect(await operator.json('explain', '--user', 'okta:dora')).toMatchObject({
    sessions: {
      newest: {
        session: {
          authenticator: 'okta',
          provider: { name: 'okta', acr: 'phr', amr: ['pwd', 'otp'] },
        },
      },
    },
  });
  const group = ['--group', 'okta:staff'];
  expect(await operator.run(['block', ...group, '--for', '1m'])).toMatchObject({ code: 0 });
  expect((await operator.run(['explain', '--user', 'okta:dora'])).stdout).toContain(
    '\nblocked as group okta:staff until ',
  );
  expect(await operator.run(['unblock', ...group])).toMatchObject({ code: 0 });
});

test('explain says in which directory the user of a provider is looked up, and what it answers', async () => {
  const { people, replicas } = place;
  await people.add('emil', 'k8s-emil');
  const token = await logIn('entra', { sub: 'emil', groups: ['of-token'] });
  const { stdout } = await replicas.operator.run(['explain'], token);
  expect(stdout).toContain('\nGROUPS of entra:emil, from authenticator entra\n');
  expect(stdout).toMatch(/\nof-token +replaced by the groups of corp\n/);
  expect(stdout).toMatch(
    /, from authenticator corp \(directory of entra\)\nBACKEND +KUBERNETES\nk8s-emil +corp:k8s-emil\n/,
  );
  expect(stdout).toMatch(
    /\nSESSION\nlogged in at provider entra at \S+\nthe account is looked up in corp every 5m: its groups replace the groups of the ID token\n/,
  );
});

test('token list has the provider of each session', async () => {
  await logIn('okta', { sub: 'fay' });
  const { operator } = place.replicas;
  const list = ['token', 'list', '--authenticator', 'sessions', '--user', 'okta:fay'];
  const { stdout } = await operator.run(list);
  expect(stdout).toMatch(
    /^DIGEST .* STATE +PROVIDER +CLUSTER .*\n\S+ +okta:fay .* good +okta +prod /,
  );
  expect(await operator.json(...list)).toMatchObject({
    tokens: [{ session: { provider: { name: 'okta' } } }],
  });
});

test('check reaches each provider, and says what to register there', async () => {
  const { findings } = (await place.replicas.operator.json('check')) as {
    findings: { check: string; result: string; detail: string }[];
  };
  const own = (name: string) => findings.filter(({ check }) => check === `login provider ${name}`);
  const register = (name: string, { url }: ForgedProvider) => ({
    result: 'ok',
    detail: `${url} answers. Register https://login.example.com/login/callback/${name} there as a redirect URI`,
  });
  expect(own('okta')).toMatchObject([
    register('okta', okta),
    {
      result: 'warning',
      detail: expect.stringContaining('a disabled account keeps access for up to 2h'),
    },
  ]);
  expect(own('entra')).toMatchObject([register('entra', entra)]);
});

test('metrics count the requests to providers', async () => {
  await logIn('okta', { sub: 'gil' });
  const [gateway] = place.replicas.gateways;
  const text = gateway ? await metricsText(gateway) : '';
  expect(text).toMatch(
    /^sallyport_login_provider_requests_total\{provider="okta",call="token",result="ok"\} [1-9]/m,
  );
  expect(text).toMatch(
    /^sallyport_login_provider_requests_total\{provider="okta",call="token",result="error"\} 0$/m,
  );
});
