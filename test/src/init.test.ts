import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { secret } from '@sallyport/test-servers/tokens';
import { waitForPromise } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type ClientTls, http1Client, http2Client, review } from './testing/clients.ts';
import { type CommandResult, runCommand } from './testing/command.ts';
import { temporaryFolder } from './testing/folder.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { anyPort } from './testing/private-gateway.ts';
import { scrape } from './testing/scrape.ts';

const run = promisify(execFile);

let parent: string;
let folder: string;
let made: CommandResult;
let token: string;
let gateway: Gateway;

beforeAll(async () => {
  parent = await temporaryFolder('init');
  made = await runCommand(
    ['init', 'made', '--host', 'gw.example.com', '--host', '127.0.0.1', '--host', '::1'],
    {
      cwd: parent,
    },
  );
  folder = join(parent, 'made');
  // No output may contain it from here on: it is shown only this once.
  token = secret(/"token":"([^"]+)"/.exec(made.stdout)?.[1] ?? '');
  gateway = await startGateway({
    folder,
    commandArguments: ['--config', 'gateway.yaml', ...anyPort],
  });
});

afterAll(async () => {
  // No one routes to this gateway, so it need not wait for `shutdownDelay`.
  await gateway.kill();
});

const read = (name: string) => readFile(join(folder, name), 'utf8');

/** Reads the files that the kubeconfig names from its own folder, as kube-apiserver does. */
async function kubeconfigTls(): Promise<ClientTls> {
  const { clusters, users } = parse(await read('kube-apiserver/webhook.kubeconfig'));
  const [authority = '', certificate = '', key = ''] = await Promise.all(
    [
      clusters[0].cluster['certificate-authority'],
      users[0].user['client-certificate'],
      users[0].user['client-key'],
    ].map((name: string) => read(join('kube-apiserver', name))),
  );
  return { authority, certificate, key };
}

const firstUser = { authenticated: true, user: { username: 'first-try' } };

async function expectReviews(tls: ClientTls): Promise<void> {
  using overHttp1 = http1Client(gateway.url, tls);
  using overHttp2 = http2Client(gateway.url, tls);
  expect(await review(overHttp1, token)).toEqual(firstUser);
  expect(await review(overHttp2, token)).toEqual(firstUser);
}

test('makes these files, secrets for the owner alone', async () => {
  expect([made.code, made.stderr]).toEqual([0, '']);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const modes = files.sort().map(async (file) => {
    return `${((await stat(file)).mode & 0o777).toString(8)} ${file.slice(folder.length + 1)}`;
  });
  expect(await Promise.all(modes)).toEqual([
    '644 gateway.yaml',
    '644 kube-apiserver/ca.crt',
    '644 kube-apiserver/client.crt',
    '600 kube-apiserver/client.key',
    '644 kube-apiserver/webhook.kubeconfig',
    '644 tls/ca.crt',
    '600 tls/ca.key',
    '644 tls/server.crt',
    '600 tls/server.key',
    '600 tokens.yaml',
  ]);
  expect(await read('tls/ca.crt')).toBe(await read('kube-apiserver/ca.crt'));
});

test('check finds nothing to object to', async () => {
  const { code, stdout } = await runCommand(['check', '--config', 'gateway.yaml', '-o', 'json'], {
    cwd: folder,
  });
  const { findings } = JSON.parse(stdout) as { findings: { result: string; detail: string }[] };
  // Other processes of this machine may listen on these ports.
  expect(
    findings.filter(({ result, detail }) => result !== 'ok' && !detail.includes('is in use')),
  ).toEqual([]);
  expect(code).toBe(0);
});

test('OpenSSL accepts the certificates for their purpose and names only, in strict mode', async () => {
  const verify = (file: string, ...how: string[]) => {
    const all = ['verify', '-x509_strict', '-CAfile', 'tls/ca.crt', ...how, file];
    return run('openssl', all, { cwd: folder }).then(
      ({ stdout }) => stdout.trim(),
      ({ stderr }) => `${/error \d+[^\n]*/.exec(stderr)?.[0]}`,
    );
  };
  const server = 'tls/server.crt';
  const client = 'kube-apiserver/client.crt';
  expect(
    await Promise.all([
      verify(server, '-purpose', 'sslserver', '-verify_hostname', 'gw.example.com'),
      verify(server, '-purpose', 'sslserver', '-verify_ip', '127.0.0.1'),
      verify(server, '-purpose', 'sslserver', '-verify_ip', '::1'),
      verify(client, '-purpose', 'sslclient'),
    ]),
  ).toEqual([`${server}: OK`, `${server}: OK`, `${server}: OK`, `${client}: OK`]);
  expect(
    await Promise.all([
      verify(server, '-purpose', 'sslserver', '-verify_hostname', 'other.example.com'),
      verify(server, '-purpose', 'sslclient'),
      verify(client, '-purpose', 'sslserver'),
    ]),
  ).toEqual([
    expect.stringContaining('hostname mismatch'),
    expect.stringContaining('unsuitable certificate purpose'),
    expect.stringContaining('unsuitable certificate purpose'),
  ]);
});

test('the certificates have their extensions', async () => {
  const fields = 'basicConstraints,keyUsage,extendedKeyUsage,subjectAltName';
  const extensions = async (file: string) => {
    const { stdout } = await run(
      'openssl',
      ['x509', '-in', file, '-noout', '-subject', '-ext', fields],
      {
        cwd: folder,
      },
    );
    return stdout.split('\n').map((line) => line.trim());
  };
  const [authority, server, client] = [
    'tls/ca.crt',
    'tls/server.crt',
    'kube-apiserver/client.crt',
  ] as const;
  expect(await extensions(authority)).toEqual([
    'subject=CN=Sallyport CA',
    ...['X509v3 Basic Constraints: critical', 'CA:TRUE, pathlen:0'],
    ...['X509v3 Key Usage: critical', 'Certificate Sign, CRL Sign', ''],
  ]);
  const leaf = [
    'X509v3 Basic Constraints: critical',
    'CA:FALSE',
    'X509v3 Key Usage: critical',
    'Digital Signature',
  ];
  const names = 'DNS:gw.example.com, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1';
  expect(await extensions(server)).toEqual([
    ...[
      'subject=CN=sallyport',
      ...leaf,
      'X509v3 Extended Key Usage:',
      'TLS Web Server Authentication',
    ],
    ...['X509v3 Subject Alternative Name:', names, ''],
  ]);
  expect(await extensions(client)).toEqual([
    ...[
      'subject=CN=kube-apiserver',
      ...leaf,
      'X509v3 Extended Key Usage:',
      'TLS Web Client Authentication',
      '',
    ],
  ]);
});

test('the files of the kubeconfig let a client in, over both protocols', async () => {
  await expectReviews(await kubeconfigTls());
});

test("Go's client reads the kubeconfig, from another folder, and gets through", async () => {
  const kubeconfig = join(folder, 'kube-apiserver/webhook.kubeconfig');
  const env = { PATH: process.env.PATH ?? '', HOME: parent };
  const kubectl = (...how: string[]) => {
    const all = [
      '--kubeconfig',
      kubeconfig,
      '--server',
      gateway.url,
      ...how,
      'get',
      '--raw',
      '/authenticate',
    ];
    return run('kubectl', all, { cwd: '/', env }).catch(({ stderr }) => stderr);
  };
  // kubectl can't send a review: that its GET is answered as one means that the certificates were good for both sides.
  expect(await kubectl()).toContain('Error from server (MethodNotAllowed)');
  // Without the option, DNS would be asked for gw.example.com.
  expect(await kubectl('--tls-server-name', 'gw.example.com')).toContain(
    'Error from server (MethodNotAllowed)',
  );
  expect(await kubectl('--tls-server-name', 'other')).toContain('not other');
  // This is the form for Talos, which can't read files.
  const flat = await run(
    'kubectl',
    ['--kubeconfig', kubeconfig, 'config', 'view', '--flatten', '--raw'],
    { env },
  );
  await writeFile(join(parent, 'inline.kubeconfig'), flat.stdout, { mode: 0o600 });
  const inline = await kubectl('--kubeconfig', join(parent, 'inline.kubeconfig'));
  await rm(join(parent, 'inline.kubeconfig'));
  expect(inline).toContain('Error from server (MethodNotAllowed)');
});

test('the review that it prints works as it is', async () => {
  const { port } = new URL(gateway.url);
  const line = /^ *(printf .* \| curl .*)$/m.exec(made.stdout)?.[1] ?? '';
  expect(line).toContain('https://gw.example.com:8443/authenticate');
  const { stdout } = await run('sh', ['-c', line.replace(':8443/', `:${port}/`)], { cwd: '/' });
  expect(JSON.parse(stdout).status).toEqual(firstUser);
});

test('it prints the next commands and the flags, with absolute paths', () => {
  const config = join(folder, 'gateway.yaml');
  expect(made.stdout).toContain(`\n  npx -y pnpm@10 sallyport check --config ${config}\n`);
  expect(made.stdout).toContain(`\n  npx -y pnpm@10 sallyport serve --config ${config}\n`);
  const kubeconfig = join(folder, 'kube-apiserver/webhook.kubeconfig');
  expect(made.stdout).toContain(`\n  --authentication-token-webhook-config-file=${kubeconfig}\n`);
  expect(made.stdout).toContain('\n  --authentication-token-webhook-version=v1\n');
});

/** Reads the certificate that a new connection gets. */
async function shownCertificate({
  authority: ca,
  certificate: cert,
  key,
}: ClientTls): Promise<string> {
  const { hostname: host, port } = new URL(gateway.url);
  const socket = connect({ host, port: Number(port), ca, cert, key });
  const shown = new Promise<string>((resolve, reject) => {
    socket
      .once('secureConnect', () => resolve(socket.getPeerCertificate().fingerprint256))
      .once('error', reject);
  });
  return await waitForPromise(shown, 'a handshake').finally(() => socket.destroy());
}

test('a running gateway serves the renewed certificate, and the old client certificate is good on', async () => {
  const expiry = async () => {
    const { value } = await scrape(gateway);
    return ['server', 'client-ca'].map((name) =>
      value(`sallyport_certificate_expiry_timestamp_seconds{certificate="${name}"}`),
    );
  };
  const ends = async () => {
    const [server, authority] = await Promise.all(['tls/server.crt', 'tls/ca.crt'].map(read));
    return [server, authority].map(
      (text) => new X509Certificate(text ?? '').validToDate.getTime() / 1000,
    );
  };
  expect(await expiry()).toEqual(await ends());
  const before = await kubeconfigTls();
  const unchanged = await Promise.all(
    ['gateway.yaml', 'tokens.yaml', 'tls/ca.crt', 'tls/ca.key'].map(read),
  );
  const seen = gateway.output.lines.length;

  const renewed = await runCommand(['init', folder, '--renew'], { cwd: parent });
  expect([renewed.code, renewed.stderr]).toEqual([0, '']);
  await gateway.waitForLog('certificates reloaded', seen);

  const after = await kubeconfigTls();
  const { fingerprint256 } = new X509Certificate(await read('tls/server.crt'));
  expect(await shownCertificate(before)).toBe(fingerprint256);
  expect(after.certificate).not.toBe(before.certificate);
  expect(after.key).not.toBe(before.key);
  await expectReviews(before);
  await expectReviews(after);
  expect(await expiry()).toEqual(await ends());
  expect(
    await Promise.all(['gateway.yaml', 'tokens.yaml', 'tls/ca.crt', 'tls/ca.key'].map(read)),
  ).toEqual(unchanged);
});

test.each([
  {
    words: ['init', 'made', '--host', 'gw'],
    status: 1,
    message: /nothing was written: .*made already has gateway\.yaml, /,
  },
  {
    words: ['init', 'other'],
    status: 2,
    message:
      /--host is missing\n {2}fix: add .* sallyport init \S+\/other --host gateway\.example\.com\n/,
  },
])('$words exits with $status', async ({ words, status, message }) => {
  const { code, stdout, stderr } = await runCommand(words, { cwd: parent });
  expect(stderr).toMatch(message);
  expect([code, stdout]).toEqual([status, '']);
  expect(await readdir(parent)).toEqual(['made']);
});
