import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { expect, test } from 'vitest';
import { createClient, execInfo } from './testing/client.ts';
import { localServer } from './testing/local-server.ts';

/** A server that is unavailable. */
const config = { login: 'https://127.0.0.1:1', cluster: 'prod' };
const target = { url: config.login, cluster: config.cluster };

const statusOf = (stdout: string) => JSON.parse(stdout).status;

test('a cached session is given to kubectl while its server is away, with an end that is 30 s early', async () => {
  await using home = await temporaryFolder('token');
  const client = createClient(home.path);
  const file = client.cacheSession(target);
  const { expiresAt } = JSON.parse(await readFile(file, 'utf8'));
  const { code, stdout, stderr } = await client.run(['token'], execInfo(config));
  expect([code, stderr]).toEqual([0, '']);
  const end = new Date(expiresAt - 30_000).toISOString().replace(/\.\d+/, '');
  expect(JSON.parse(stdout)).toEqual({
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status: { token: 'sp_cached', expirationTimestamp: end },
  });
});

test('an unused session is forgotten when its server answers 401, and kept when it answers 503', async () => {
  await using home = await temporaryFolder('token');
  let status = 503;
  const url = await localServer((_request, response) => response.writeHead(status).end());
  const client = createClient(home.path);
  const file = client.cacheSession({ url, cluster: 'prod' });
  const hourAgo = new Date(Date.now() - 3_600_000);
  const isKept = async () => {
    await utimes(file, hourAgo, hourAgo);
    const { code } = await client.run(['token'], execInfo({ login: url, cluster: 'prod' }));
    return [code, existsSync(file)];
  };
  expect(await isKept()).toEqual([0, true]);
  status = 401;
  expect(await isKept()).toEqual([1, false]);
});

test('a session in its last 30 s is not used', async () => {
  await using home = await temporaryFolder('token');
  const client = createClient(home.path);
  client.cacheSession(target, { left: 29_000 });
  const { code, stdout, stderr } = await client.run(['token'], execInfo(config));
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toBe(
    'kubectl-sallyport: not logged in to cluster prod, and there is no terminal to ask for a password\n' +
      '  fix: run: kubectl sallyport login --url https://127.0.0.1:1 --cluster prod\n',
  );
});

test('sessions of other clusters, servers and accounts are not used', async () => {
  await using home = await temporaryFolder('token');
  const client = createClient(home.path);
  client.cacheSession(target);
  for (const [words, other] of [
    [[], { ...config, cluster: 'test' }],
    [[], { ...config, login: 'https://127.0.0.1:2' }],
    [['--username', 'bob'], config],
    [['--cluster', 'test'], config],
  ] as const) {
    expect((await client.run(['token', ...words], execInfo(other))).code).toBe(1);
  }
  client.cacheSession({ ...target, account: 'bob' }, { token: 'sp_bob' });
  expect(
    statusOf((await client.run(['token', '--username', 'bob'], execInfo(config))).stdout).token,
  ).toBe('sp_bob');
  const byEnvironment = (name: string) =>
    client.run(['token'], { ...execInfo(config), SALLYPORT_USERNAME: name });
  expect(statusOf((await byEnvironment('ada')).stdout).token).toBe('sp_cached');
  expect((await byEnvironment('bob')).code).toBe(1);
});

test('without cluster info, the arguments say which cluster it is', async () => {
  await using home = await temporaryFolder('token');
  const client = createClient(home.path);
  client.cacheSession(target);
  const words = ['token', '--url', 'https://127.0.0.1:1/', '--cluster', 'prod'];
  expect(statusOf((await client.run(words, execInfo(undefined))).stdout).token).toBe('sp_cached');
});

test('without cluster info and arguments, no token is given away: the current context may be of another cluster', async () => {
  await using home = await temporaryFolder('token');
  const client = createClient(home.path);
  client.cacheSession(target);
  await mkdir(join(home.path, '.kube'));
  await writeFile(join(home.path, '.kube/config'), kubeconfig);
  const { code, stdout, stderr } = await client.run(['token'], execInfo(undefined));
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain('it sets provideClusterInfo: true and the extension of the cluster');
  expect(stderr).toContain('kubectl sallyport init URL CLUSTER --no-cluster-info --context NAME');
  // A user may mean it.
  expect(statusOf((await client.run(['token'])).stdout).token).toBe('sp_cached');
});

const kubeconfig = `
current-context: prod
contexts:
- {name: prod, context: {cluster: prod, user: sallyport}}
- {name: bob, context: {cluster: prod, user: bob}}
- {name: other, context: {cluster: prod, user: other}}
users:
- {name: sallyport, user: {exec: {command: kubectl-sallyport, args: [token]}}}
- {name: bob, user: {exec: {command: kubectl-sallyport, args: [token, --username, bob]}}}
- {name: other, user: {}}
clusters:
- name: prod
  cluster:
    extensions:
    - {name: client.authentication.k8s.io/exec, extension: {login: "https://127.0.0.1:1", cluster: prod}}
`;

test('the command to run is as short as the kubeconfig allows', async () => {
  await using home = await temporaryFolder('token');
  const client = createClient(home.path);
  await mkdir(join(home.path, '.kube'));
  await writeFile(join(home.path, '.kube/config'), kubeconfig);
  const hint = async (words: readonly string[], of: object = config) =>
    / {2}fix: run: (.*)\n$/.exec((await client.run(['token', ...words], execInfo(of))).stderr)?.[1];
  expect(await hint([])).toBe('kubectl sallyport login');
  expect(await hint(['--username', 'bob'])).toBe('kubectl sallyport login --context bob');
  expect(await hint(['--username', "bob's"], { ...config, cluster: 'x' })).toBe(
    `kubectl sallyport login --url https://127.0.0.1:1 --cluster x --username 'bob'\\''s'`,
  );
  await writeFile(join(home.path, '.kube/config'), '[');
  expect(await hint([])).toBe('kubectl sallyport login --url https://127.0.0.1:1 --cluster prod');
});

test('a context that is not ours lists those that are', async () => {
  await using home = await temporaryFolder('token');
  const client = createClient(home.path);
  await writeFile(join(home.path, 'config'), kubeconfig);
  const env = { KUBECONFIG: join(home.path, 'config') };
  const { code, stderr } = await client.run(['whoami', '--context', 'other'], env);
  expect([code, stderr]).toEqual([
    2,
    'kubectl-sallyport: the user of the context other does not run "kubectl-sallyport token". These use kubectl-sallyport: prod, bob\n' +
      '  fix: name one of them, such as: --context prod. Otherwise, add a context: kubectl sallyport init URL\n',
  ]);
  await writeFile(join(home.path, 'bare'), kubeconfig.replace('extensions:', 'x:'));
  const bare = await client.run(['whoami'], { KUBECONFIG: join(home.path, 'bare') });
  expect([bare.code, bare.stderr]).toEqual([
    2,
    'kubectl-sallyport: the cluster of the context prod has no extension client.authentication.k8s.io/exec that names a login server\n' +
      '  fix: add a context: kubectl sallyport init URL\n',
  ]);
  const mistyped = await client.run(['login', '--context', 'pord'], env);
  expect([mistyped.code, mistyped.stderr]).toEqual([
    2,
    'kubectl-sallyport: the kubeconfig has no context pord. These use kubectl-sallyport: prod, bob\n' +
      '  fix: name one of them, such as: --context prod. Otherwise, add a context: kubectl sallyport init URL\n',
  ]);
  const none = await client.run(['whoami']);
  expect([none.code, none.stderr]).toEqual([
    2,
    `kubectl-sallyport: there is no kubeconfig ${join(home.path, '.kube/config')}\n  fix: correct --kubeconfig or KUBECONFIG, or make it: kubectl sallyport init URL\n`,
  ]);
});

test('a cache file that is damaged is reported and not used', async () => {
  await using home = await temporaryFolder('token');
  const client = createClient(home.path);
  await writeFile(client.cacheSession(target), '{');
  const { code, stdout, stderr } = await client.run(['token'], execInfo(config));
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^kubectl-sallyport: warning: .*\.json is damaged: it is not used/);
});

test('a cache folder that others can write is not used', async () => {
  await using home = await temporaryFolder('token');
  const client = createClient(home.path);
  client.cacheSession(target);
  await chmod(client.cache, 0o777);
  expect((await client.run(['token'], execInfo(config))).code).toBe(1);
});

test('a password that can be read from a file costs nothing but a login, also where nothing can be cached', async () => {
  await using home = await temporaryFolder('token');
  const client = createClient(home.path);
  await writeFile(join(home.path, 'password'), 'secret\n');
  const env = { ...execInfo(config), SALLYPORT_PASSWORD_FILE: join(home.path, 'password') };
  const unnamed = await client.run(['token'], env);
  expect([unnamed.code, unnamed.stderr]).toEqual([
    2,
    expect.stringMatching(/set --username or SALLYPORT_USERNAME/),
  ]);
  const away = await client.run(['token', '--username', 'ada'], {
    ...env,
    KUBECACHEDIR: join(home.path, 'password'),
  });
  expect([away.code, away.stderr]).toEqual([
    3,
    expect.stringMatching(/can't reach the login server/),
  ]);
  const missing = await client.run(['token', '--username', 'ada'], {
    ...env,
    SALLYPORT_PASSWORD_FILE: '/nonexistent',
  });
  expect([missing.code, missing.stderr]).toEqual([
    2,
    expect.stringMatching(/SALLYPORT_PASSWORD_FILE: can't read/),
  ]);
  expect(await readdir(client.cache)).toEqual([]);
});

test.each([
  { words: ['login', '--password', 'secret'], code: 2, message: /there is no option --password/ },
  { words: ['login', '--password=secret'], code: 2, message: /there is no option --password/ },
  { words: ['login', '-p', 'secret'], code: 2, message: /there is no option --password/ },
  {
    words: ['token', '--what'],
    code: 2,
    message: /Unknown option '--what'\n {2}fix: its options are --url, .*--print-url; see: /,
  },
  {
    words: ['token', 'a-secret'],
    code: 2,
    message:
      /Unexpected argument, .* might be a password\n {2}fix: .*--username NAME.*--context NAME/,
  },
  {
    words: ['whoami', '--context='],
    code: 2,
    message: /--context has no value\n {2}fix: write its value after it; see: /,
  },
  { words: ['whoami', '-o', 'yaml'], code: 2, message: /--output must be json/ },
  { words: ['init'], code: 2, message: /init needs the URL/ },
  { words: ['init', 'http://login.example.com'], code: 2, message: /only over https/ },
  { words: ['init', 'https://127.0.0.1:1'], code: 3, message: /can't reach the login server/ },
  {
    words: ['init', 'https://127.0.0.1:1', '--ca-file', '/dev/null'],
    code: 2,
    message: /contains no certificate in PEM\n {2}fix: name .* -----BEGIN CERTIFICATE-----/,
  },
  {
    words: ['init', 'https://127.0.0.1:1', '--ca-file', '/bin/sh'],
    code: 2,
    message: /\n {2}fix: if it is in DER, run: openssl x509 -inform DER -in \//,
  },
  {
    words: ['init', 'prod', 'https://login.example.com', '--ca-file', 'ca.crt'],
    code: 2,
    message:
      /the URL comes before .*\n {2}fix: run: kubectl sallyport init https:\/\/login\.example\.com prod --ca-file ca\.crt\n/,
  },
  {
    words: ['init', 'https://login.example.com', 'prod', 'a-secret'],
    code: 2,
    message: /Unexpected argument, .*\n {2}fix: .*one CLUSTER at most.* --all\n/,
  },
  {
    words: ['init', 'https://127.0.0.1:1', '--ca-file', '/nonexistent/ca.crt'],
    code: 2,
    message: /--ca-file: can't read \/nonexistent\/ca\.crt: there is no such file\n/,
  },
  {
    words: ['whoami', '--kubeconfig', '/nonexistent/config'],
    code: 2,
    message: /there is no kubeconfig \/nonexistent\/config\n {2}fix: correct --kubeconfig /,
  },
  {
    words: ['init', 'https://127.0.0.1:1', '--kubeconfig=~/.kube/config'],
    code: 2,
    message: /\n {2}fix: write "\$HOME" in place of ~/,
  },
  {
    words: ['init', 'https://127.0.0.1:1', '--kubeconfig', `a${delimiter}b`],
    code: 2,
    message: /--kubeconfig: there is no file a.b\n {2}fix: name one file/,
  },
  {
    words: ['init', '--url', 'https://x', 'prod'],
    code: 2,
    message:
      /Unknown option '--url'\n {2}fix: write URL and CLUSTER without an option; its options/,
  },
  {
    words: ['init', 'https://x', 'prod', '--username', '--all'],
    code: 2,
    message: /argument is ambiguous.*\n {2}fix: write its value after it; /,
  },
  { words: ['init', 'https://x', 'prod', '--all'], code: 2, message: /leave out CLUSTER/ },
  {
    words: ['login', '--url', 'https://127.0.0.1:1', '--cluster', 'prod'],
    code: 2,
    message: /standard input is not a terminal/,
  },
  {
    words: ['a-secret'],
    code: 2,
    message:
      /unknown command, which is not repeated here: it might be a password\n {2}fix: write one of factor, init, login, logout, sessions, token, whoami first/,
  },
] as const)('$words ends with $code', async ({ words, code, message }) => {
  await using home = await temporaryFolder('token');
  const result = await createClient(home.path).run(words);
  expect(result).toEqual({ code, stdout: '', stderr: expect.stringMatching(message) });
  expect(result.stderr).toMatch(/^kubectl-sallyport: .*\n {2}fix: .*\n$/);
  expect(result.stderr).not.toContain('secret');
});

test.each([{ words: [] }, { words: ['help'] }, { words: ['--help'] }, { words: ['login', '-h'] }])(
  '$words shows the help',
  async ({ words }) => {
    await using home = await temporaryFolder('token');
    const { code, stdout, stderr } = await createClient(home.path).run(words);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('Usage: kubectl sallyport COMMAND');
  },
);

test('--version prints the version of the package', async () => {
  await using home = await temporaryFolder('token');
  const { stdout } = await createClient(home.path).run(['--version']);
  const manifest = await readFile(join(import.meta.dirname, '../package.json'), 'utf8');
  expect(stdout).toBe(`${JSON.parse(manifest).version}\n`);
});
