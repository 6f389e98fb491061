import { writeFile } from 'node:fs/promises';
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { expect, onTestFinished, test } from 'vitest';
import { createClient } from '../testing/client.ts';
import { localServer } from '../testing/local-server.ts';
import { explain } from './request.ts';

test('a password for a server of this machine goes through no proxy', async () => {
  await using home = await temporaryFolder('proxy');
  const asked = { proxy: 0, server: 0 };
  const proxy = await localServer((_request, response) => {
    asked.proxy += 1;
    response.writeHead(502).end();
  });
  const url = await localServer((_request, response) => {
    asked.server += 1;
    const session = {
      token: 'sps_x',
      user: { username: 'corp:ada' },
      expiresAt: '2999-01-01T00:00:00Z',
    };
    response.writeHead(201).end(JSON.stringify(session));
  });
  // Node reads these when it starts.
  const env = { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: proxy, http_proxy: proxy };
  const login = `$PLUGIN login --url ${url} --cluster prod --username ada --password-stdin`;
  const run = createClient(home.path).terminal(`printf secret | ${login}`, env);
  expect([await run.ended, run.shown()]).toEqual([0, expect.stringContaining('as corp:ada')]);
  expect(asked).toEqual({ proxy: 0, server: 2 });
});

/** A server of another host: its certificate is for these names. */
async function otherHost(names: readonly string[], options: ServerOptions = {}) {
  const authority = await createAuthority();
  onTestFinished(() => authority[Symbol.asyncDispose]());
  const { certificate: cert, key } = await authority.issueServer({ names });
  const server = createServer(
    { cert, key, ...options },
    (_request, response) => void response.end('{}'),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    caFile: authority.certificateFile,
  };
}

test('a certificate for another host is refused with its names and the host of the URL', async () => {
  await using home = await temporaryFolder('names');
  const client = createClient(home.path);
  const { url, caFile } = await otherHost(['DNS:login.example.com', 'IP:192.0.2.1']);
  expect(await client.run(['init', url, '--ca-file', caFile])).toEqual({
    code: 3,
    stdout: '',
    stderr:
      `kubectl-sallyport: ${url}: can't verify its certificate: it is for login.example.com, 192.0.2.1, and not for ` +
      '127.0.0.1\n  fix: use the URL that your administrator gave you, or ask for it. Another server might have this port: a login server has 8444 by default\n',
  });
});

test.each([301, 302, 307, 308])(
  'a redirect (%i) takes no password and no token to another server',
  async (status) => {
    await using home = await temporaryFolder('redirect');
    let count = 0;
    const other = await localServer((_request, response) => {
      count++;
      response.end('{}');
    });
    const url = await localServer(({ url: path = '' }, response) => {
      response.writeHead(status, { location: `${other}${path}` }).end();
    });
    const client = createClient(home.path);
    await writeFile(join(home.path, 'password'), 'secret');
    client.cacheSession({ url, cluster: 'prod' });
    const env = { SALLYPORT_PASSWORD_FILE: join(home.path, 'password'), SALLYPORT_USERNAME: 'ada' };
    for (const command of ['login', 'whoami', 'logout']) {
      const { code, stderr } = await client.run([command, '--url', url, '--cluster', 'prod'], env);
      expect([code, stderr]).toEqual([2, expect.stringContaining(`it answered ${status}`)]);
    }
    expect((await client.run(['init', url])).code).toBe(2);
    expect(count).toBe(0);
  },
);

test.each([
  { command: 'init', words: [], expected: 'init URL' },
  { command: 'init', words: ['prod'], expected: 'init URL prod' },
  { command: 'init', words: ['--all'], expected: 'init URL --all' },
  {
    command: 'init',
    words: ['prod', '--username', 'ada'],
    expected: 'init URL prod --username ada',
  },
  {
    command: 'login',
    words: ['--cluster', 'prod', '--username', 'ada'],
    expected: 'init URL prod --username ada',
  },
])(
  'when no CA is trusted, $command $words says what to run with the file of the CA',
  async ({ command, words, expected }) => {
    await using home = await temporaryFolder('trust');
    await writeFile(join(home.path, 'password'), 'secret');
    const { url } = await otherHost(['IP:127.0.0.1']);
    const place = command === 'init' ? [url] : ['--url', url];
    const env = { SALLYPORT_PASSWORD_FILE: join(home.path, 'password') };
    const { code, stderr } = await createClient(home.path).run([command, ...place, ...words], env);
    const line = `run: kubectl sallyport ${expected.replace('URL', url)} --ca-file FILE\n`;
    expect([code, stderr.slice(-line.length)]).toEqual([3, line]);
  },
);

test('a port that wants a client certificate, or no TLS, is refused with words for people', async () => {
  await using home = await temporaryFolder('ports');
  const client = createClient(home.path);
  const { url, caFile } = await otherHost(['IP:127.0.0.1'], { requestCert: true });
  const wrongPort = await client.run(['init', url, '--ca-file', caFile]);
  expect([wrongPort.code, wrongPort.stderr]).toEqual([
    3,
    `kubectl-sallyport: ${url}: can't reach the login server: this port requires a client certificate, as the port for ` +
      'kube-apiserver does\n  fix: use the URL that your administrator gave you, or ask for it. Another server might have this port: a login server has 8444 by default\n',
  ]);
  const plain = (await localServer((_request, response) => void response.end())).replace(
    'http:',
    'https:',
  );
  expect((await client.run(['init', plain])).stderr).toBe(
    `kubectl-sallyport: ${plain}: can't reach the login server: TLS: wrong version number\n  fix: use the URL that your administrator gave you, or ask for it. Another server might have this port: a login server has 8444 by default\n`,
  );
});

const refusedConnection = Object.assign(new Error('connect ECONNREFUSED 192.0.2.1:443'), {
  code: 'ECONNREFUSED',
});
const unknownHost = Object.assign(new Error('getaddrinfo ENOTFOUND login.example.com'), {
  code: 'ENOTFOUND',
});
const silentDns = Object.assign(new Error('getaddrinfo EAI_AGAIN'), { code: 'EAI_AGAIN' });
const expired = Object.assign(new Error('certificate has expired'), { code: 'CERT_HAS_EXPIRED' });
const late = new DOMException('The operation was aborted due to timeout', 'TimeoutError');
const away = "https://login.example.com: can't reach the login server: ";

test.each([
  [
    refusedConnection,
    `${away}connect ECONNREFUSED 192.0.2.1:443`,
    'try again; if the port is missing in the URL, run: kubectl sallyport init https://login.example.com:8444 prod --ca-file ca.crt',
  ],
  [
    late,
    `${away}it did not answer in time`,
    'try again; if the port is missing in the URL, run: kubectl sallyport init https://login.example.com:8444 prod --ca-file ca.crt',
  ],
  [unknownHost, `${away}no host is called login.example.com`, 'check the spelling, and your VPN'],
  [
    silentDns,
    `${away}no DNS server answered which address login.example.com has`,
    'check your network, and your VPN',
  ],
  [
    expired,
    "https://login.example.com: can't verify its certificate: certificate has expired",
    'check the clock of this machine, or ask your administrator for a new certificate',
  ],
])('%s is explained with how to fix it', (error, problem, fix) => {
  const address = { url: 'https://login.example.com', cluster: 'prod', caFile: 'ca.crt' };
  expect(explain(address, error)).toEqual([problem, fix]);
});

test('a refused connection to a port that the user wrote does not ask for the port, and one of a proxy names it', () => {
  const address = { url: 'https://login.example.com:8444', ca: undefined };
  expect(explain(address, refusedConnection)[1]).toBe(
    'try again, or ask your administrator whether the port is right (8444 by default)',
  );
  process.env.NODE_USE_ENV_PROXY = '1';
  onTestFinished(() => {
    delete process.env.NODE_USE_ENV_PROXY;
  });
  for (const error of [refusedConnection, unknownHost])
    expect(explain(address, error)[1]).toContain('check HTTPS_PROXY');
});

test('a URL in a command to paste is quoted', () => {
  const address = { url: 'https://localhost/;touch$IFS/x', cluster: 'prod' };
  expect(explain(address, refusedConnection)[1]).toMatch(
    /kubectl sallyport init 'https:\/\/localhost:8444\/;touch\$IFS\/x' prod$/,
  );
});
