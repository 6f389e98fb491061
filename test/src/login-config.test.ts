import { createAuthority } from '@sallyport/test-servers/certificates';
import { startPeople } from '@sallyport/test-servers/people';
import { startRedis } from '@sallyport/test-servers/redis';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type ClientTls, http1Client, http2Client } from './testing/clients.ts';
import { configText, startGateway } from './testing/gateway.ts';
import { loginUrlOf } from './testing/login-gateway.ts';
import { operatorIn } from './testing/redis-commands.ts';

const json = { 'content-type': 'application/json' };

/** Starts a gateway whose login server has TLS and the public name `localhost`, on any free port. */
async function start() {
  await using resources = new AsyncDisposableStack();
  const people = resources.use(await startPeople());
  const redis = resources.use(await startRedis());
  const authority = resources.use(await createAuthority('login-authority'));
  const pair = await authority.issueServer();
  secret(pair.key.split('\n')[1] ?? '');
  const config = {
    authenticators: [
      { name: 'sessions', use: 'redis', options: { url: redis.url, tokenPrefix: 'sps_' } },
      people.authenticator(),
    ],
    login: {
      listen: '127.0.0.1:0',
      publicUrl: 'https://localhost',
      tls: { certFile: 'tls/login.crt', keyFile: 'tls/login.key' },
      caFile: 'tls/login-ca.crt',
      authenticators: ['corp'],
      sessions: 'sessions',
      clusters: { prod: { audience: 'prod', server: 'https://prod:6443', caFile: 'tls/both.pem' } },
    },
  };
  const files = {
    ...people.files,
    'tls/login.crt': pair.certificate,
    'tls/login.key': pair.key,
    'tls/login-ca.crt': authority.certificate,
    // A careless operator wrote this file: only the certificate may leave it.
    'tls/both.pem': `${pair.key}${authority.certificate}`,
  };
  const gateway = resources.use(await startGateway({ config, files }));
  const tls: ClientTls = { authority: authority.certificate };
  const owned = resources.move();
  return {
    people,
    authority,
    config,
    gateway,
    tls,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

let place: Awaited<ReturnType<typeof start>>;
beforeAll(async () => {
  place = await start();
});
afterAll(() => place[Symbol.asyncDispose]());

test('over TLS both protocols answer, a kubeconfig has the CAs alone, and a new certificate is shown', async () => {
  const { gateway, people, authority, tls } = place;
  const url = loginUrlOf(gateway).replace('127.0.0.1', 'localhost');
  expect(url).toMatch(/^https:/);
  const host = { host: 'localhost' };
  const body = JSON.stringify({ username: 'alice', password: people.alice.password });
  for (const client of [http1Client(url, tls), http2Client(url, tls)]) {
    using one = client;
    const isHttp2 = 'session' in one;
    const headers = isHttp2 ? { ':authority': 'localhost' } : host;
    const login = await one.send({ path: '/v1/sessions', body, headers: { ...headers, ...json } });
    expect(login.status).toBe(201);
    const token = secret(JSON.parse(login.text).token);
    const own = { ...headers, authorization: `Bearer ${token}`, 'content-type': undefined };
    const who = await one.send({ method: 'GET', path: '/v1/session', headers: own });
    expect(JSON.parse(who.text)).toMatchObject({
      user: { username: 'corp:alice' },
      cluster: 'prod',
    });
    expect((await one.send({ method: 'DELETE', path: '/v1/session', headers: own })).status).toBe(
      204,
    );
    if (isHttp2) {
      const other = {
        method: 'GET',
        path: '/v1/clusters',
        headers: { ':authority': 'evil.example.com' },
      };
      expect((await one.send(other)).status).toBe(403);
    }
    const kubeconfig = await one.send({
      method: 'GET',
      path: '/v1/clusters/prod/kubeconfig',
      headers,
    });
    const [{ cluster }] = parse(kubeconfig.text).clusters;
    expect(Buffer.from(cluster['certificate-authority-data'], 'base64').toString()).toBe(
      authority.certificate,
    );
    expect(cluster.extensions[0].extension.ca).toBe(authority.certificate);
    expect(kubeconfig.text).not.toContain('PRIVATE');
  }
  const pair = await authority.issueServer();
  const from = gateway.output.lines.length;
  await gateway.write('tls/login.crt', pair.certificate);
  await gateway.write('tls/login.key', pair.key);
  await gateway.waitForLog('certificates reloaded', from);
  using client = http1Client(url, tls);
  expect((await client.send({ method: 'GET', path: '/v1/clusters', headers: host })).status).toBe(
    200,
  );
  await using other = await createAuthority('other-authority');
  await gateway.write('tls/both.pem', other.certificate);
  await gateway.waitForLog('file reloaded', from);
  const changed = await client.send({
    method: 'GET',
    path: '/v1/clusters/prod/kubeconfig',
    headers: host,
  });
  const [{ cluster }] = parse(changed.text).clusters;
  expect(Buffer.from(cluster['certificate-authority-data'], 'base64').toString()).toBe(
    other.certificate,
  );
  const status = await fetch(`${gateway.adminUrl}/status.json`);
  expect((await status.json()).login).toMatchObject({
    publicUrl: 'https://localhost',
    loggedIn: 2,
    refused: 0,
    loggedOut: 2,
  });
});

test('an edit of login takes effect, its address and its absence do at a restart', async () => {
  const { gateway, config, tls } = place;
  const url = loginUrlOf(gateway).replace('127.0.0.1', 'localhost');
  const names = async () => {
    using client = http1Client(url, tls);
    const { status, text } = await client.send({
      method: 'GET',
      path: '/v1/clusters',
      headers: { host: 'localhost' },
    });
    return status === 200 ? JSON.parse(text).clusters : status;
  };
  /** @returns what the log says needs a restart */
  const change = async (next: Parameters<typeof gateway.configure>[0]): Promise<unknown> => {
    const from = gateway.output.lines.length;
    await gateway.configure(next);
    await gateway.waitForLog('config reloaded', from);
    const atRestart =
      'some changed settings take effect at the next restart; all others are in force now';
    return gateway.output.lines.slice(from).find(({ msg }) => msg === atRestart)?.changed;
  };
  const { clusters, tls: _tls, ...rest } = config.login;
  const other = { ...clusters.prod, audience: 'https://other.example.com' };
  const moved = {
    ...rest,
    tls: config.login.tls,
    listen: '127.0.0.1:1',
    clusters: { ...clusters, other },
  };
  expect(await change({ ...config, login: moved })).toEqual(['login.listen']);
  expect(await names()).toEqual([{ name: 'prod' }, { name: 'other' }]);
  const { login: _login, ...without } = config;
  expect(await change(without)).toEqual(['login']);
  // The client for reviews refuses any answer that is to be repeated.
  await expect(names()).rejects.toThrow('an answer of 503 carries Retry-After');
  expect(await change({ ...config, login: { ...rest, clusters } })).toEqual(['login.tls']);
  expect(await names()).toEqual([{ name: 'prod' }]);
});

test('check reads the certificate, the CAs and the names of the login server', async () => {
  const { authority, gateway, config, people } = place;
  const findings = async (login: object, more: object = {}) => {
    await gateway.write(
      'check.yaml',
      configText({ ...config, ...more, login: { ...config.login, ...login } }),
    );
    const { stdout } = await operatorIn(gateway.folder).run([
      'check',
      '--config',
      'check.yaml',
      '-o',
      'json',
    ]);
    return (
      JSON.parse(stdout).findings as { check: string; result: string; detail: string }[]
    ).filter(({ check }) => /^login|^authenticator corp$/.test(check));
  };
  expect(await findings({ publicUrl: 'https://login.example.com' })).toEqual(
    expect.arrayContaining([
      { check: 'login certificate', result: 'ok', detail: expect.stringContaining('for ') },
      {
        check: 'login',
        result: 'warning',
        name: 'unsealed-sessions',
        detail: expect.stringContaining('sessions are not sealed'),
      },
      {
        check: 'login TLS',
        result: 'warning',
        name: 'certificate-host',
        detail: expect.stringMatching(
          /^the login certificate is for .*, and not for login\.example\.com, .*: openssl req .*DNS:login\.example\.com$/,
        ),
      },
    ]),
  );
  await using foreign = await createAuthority('login-authority');
  await gateway.write('tls/foreign-ca.crt', foreign.certificate);
  const unsigned = expect.objectContaining({
    detail: expect.stringMatching(/^login\.caFile: the CAs in .* did not sign/),
  });
  expect(await findings({ caFile: 'tls/foreign-ca.crt' })).toContainEqual(unsigned);
  expect(await findings({})).not.toContainEqual(unsigned);
  const unknown = expect.objectContaining({
    result: 'warning',
    detail: expect.stringMatching(
      /^no login\.caFile is set, and no CA that this machine knows signed .*login\.crt/,
    ),
  });
  expect(await findings({ caFile: undefined })).toContainEqual(unknown);
  expect(await findings({})).not.toContainEqual(unknown);
  const { certificate } = await authority.issueServer({ names: ['DNS:prod'] });
  await gateway.write('tls/prod.crt', certificate);
  const ofServer = expect.objectContaining({
    result: 'warning',
    detail: expect.stringMatching(
      /^login\.clusters\.prod\.caFile: .*prod\.crt contains no CA, but the certificate of .*login-authority/,
    ),
  });
  const prodWith = (caFile: string) => ({
    clusters: { prod: { ...config.login.clusters.prod, caFile } },
  });
  expect(await findings(prodWith('tls/prod.crt'))).toContainEqual(ofServer);
  expect(await findings(prodWith('tls/login-ca.crt'))).not.toContainEqual(ofServer);
  const withoutUid = expect.objectContaining({
    check: 'authenticator corp',
    result: 'warning',
    detail: expect.stringContaining('users of login.authenticators have no uid'),
  });
  const base = `ou=people,${people.slapd.suffix}`;
  const user = { base, filter: '(uid={username})', attributes: { uid: 'entryUUID' } };
  const [sessions] = config.authenticators;
  const authenticators = [sessions, people.authenticator({ options: { user } })];
  expect(await findings({})).toContainEqual(withoutUid);
  expect(await findings({}, { authenticators })).not.toContainEqual(withoutUid);
  const unsealed = expect.objectContaining({
    detail: expect.stringContaining('sessions are not sealed'),
  });
  expect(await findings({})).toContainEqual(unsealed);
  expect(await findings({}, { cache: { redis: { url: 'http://redis' } } })).not.toContainEqual(
    unsealed,
  );
  expect(
    await findings({
      tls: { certFile: 'tls/none.crt', keyFile: 'tls/login.key' },
      caFile: 'tls/login.key',
    }),
  ).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        result: 'error',
        detail: expect.stringContaining("none.crt can't be read"),
      }),
      expect.objectContaining({
        result: 'error',
        detail: expect.stringContaining('has no PEM certificate'),
      }),
    ]),
  );
});

test('check and serve refuse an authenticator that can log no one in, and sessions that no one can issue', async () => {
  const login = {
    listen: '127.0.0.1:0',
    publicUrl: 'https://login.example.com',
    authenticators: ['spare', 'static'],
    sessions: 'sessions',
  };
  const sessions = { name: 'sessions', use: 'redis', options: { url: 'redis://127.0.0.1:1' } };
  const files = { 'tokens.yaml': tokensFile({ [randomToken()]: 'ci' }) };
  const authenticators = [
    ...['static', 'spare'].map((name) => ({ ...staticAuthenticator, name })),
    sessions,
  ];
  const start = (config: object) => startGateway({ config: { ...config }, files });
  await expect(start({ authenticators, login })).rejects.toThrow(
    /gateway\.yaml:\d+:\d+: login\.authenticators\[1\]: authenticator static .* can't log anyone in: it can't check a password .*\n {2}fix: write the name of an authenticator that checks passwords/,
  );
  const other = { ...login, authenticators: ['other'], sessions: 'static' };
  await expect(start({ authenticators, login: other })).rejects.toThrow(
    /login.authenticators\[0\]: "other" is not an authenticator.*login.sessions: authenticator static .* can't issue tokens, so it can't issue sessions\n {2}fix: name an authenticator with use: redis/s,
  );
  await place.gateway.write('tokens.yaml', files['tokens.yaml']);
  await place.gateway.write('no-login.yaml', configText({ authenticators, login }));
  const checked = await operatorIn(place.gateway.folder).run([
    'check',
    '--config',
    'no-login.yaml',
  ]);
  expect(checked.code).toBe(1);
  expect(checked.stdout).toMatch(
    /^login +error +\S*no-login\.yaml:\d+:\d+: login\.authenticators\[1\]: authenticator static /m,
  );
});
