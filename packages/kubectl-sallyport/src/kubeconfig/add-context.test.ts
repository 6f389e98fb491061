import { execFile } from 'node:child_process';
import { chmod, lstat, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { addContext, type NewContext } from './add-context.ts';

const added: NewContext = {
  context: 'prod',
  login: 'https://login.example.com:8444',
  cluster: 'prod',
  ca: 'PEM\n',
  data: { server: 'https://prod.example.com:6443', 'certificate-authority-data': 'QUJD' },
  username: undefined,
  words: [],
};

/** Reads it with kubectl, which also says when something in it is wrong. */
async function view(paths: readonly string[]) {
  const env = { ...process.env, KUBECONFIG: paths.join(delimiter) };
  const { stdout } = await promisify(execFile)(
    'kubectl',
    ['config', 'view', '--raw', '-o', 'json'],
    { env },
  );
  return JSON.parse(stdout);
}

const exec = (args: readonly string[]) => ({
  exec: {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: 'kubectl-sallyport',
    args,
    env: null,
    installHint:
      'kubectl-sallyport is not in a folder of PATH. Ask your administrators for the program or its package',
    interactiveMode: 'IfAvailable',
    provideClusterInfo: true,
  },
});

test('kubectl reads what is added to nothing', async () => {
  await using folder = await temporaryFolder('kubeconfig');
  const path = join(folder.path, '.kube/config');
  expect(addContext([path], added, true)).toEqual({
    path,
    isNew: true,
    previousContext: undefined,
  });
  const extension = { login: 'https://login.example.com:8444', cluster: 'prod', ca: 'PEM\n' };
  expect(await view([path])).toMatchObject({
    clusters: [
      {
        name: 'prod@login.example.com:8444',
        cluster: {
          server: 'https://prod.example.com:6443',
          'certificate-authority-data': 'QUJD',
          extensions: [{ name: 'client.authentication.k8s.io/exec', extension }],
        },
      },
    ],
    users: [{ name: 'sallyport', user: exec(['token']) }],
    contexts: [
      { name: 'prod', context: { cluster: 'prod@login.example.com:8444', user: 'sallyport' } },
    ],
    'current-context': 'prod',
  });
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(join(folder.path, '.kube'))).toEqual(['config']);
});

test('what kubectl has written stays, with the rights of the file and a link to it', async () => {
  await using folder = await temporaryFolder('kubeconfig');
  const [path, real] = [join(folder.path, 'config'), join(folder.path, 'real')];
  await writeFile(real, '');
  await chmod(real, 0o640);
  await symlink(real, path);
  const kubectl = (...words: string[]) =>
    promisify(execFile)('kubectl', ['--kubeconfig', path, 'config', ...words]);
  await kubectl('set-cluster', 'old', '--server=https://old.example.com', '--tls-server-name=x');
  await kubectl('set-credentials', 'old', '--token=secret');
  await kubectl('set-context', 'old', '--cluster=old', '--user=old', '--namespace=apps');
  await kubectl('use-context', 'old');
  const before = await view([path]);
  expect(addContext([path], added, false)).toEqual({ path, isNew: true, previousContext: 'old' });
  const after = await view([path]);
  for (const kind of ['clusters', 'users', 'contexts']) {
    expect(after[kind]).toEqual(expect.arrayContaining(before[kind]));
    expect(after[kind]).toHaveLength(2);
  }
  expect(after['current-context']).toBe('old');
  expect([(await lstat(path)).isSymbolicLink(), (await stat(real)).mode & 0o777]).toEqual([
    true,
    0o640,
  ]);
});

test('of several files, each gets what it has already, and the first that exists all that is new', async () => {
  await using folder = await temporaryFolder('kubeconfig');
  const [missing, a, b] = ['missing', 'a', 'b'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ];
  await writeFile(a, '# a\n');
  await writeFile(b, '');
  addContext([b], added, true);
  expect(
    addContext([missing, a, b], { ...added, data: { server: 'https://new.example.com' } }, true),
  ).toEqual({
    path: b,
    isNew: false,
    previousContext: 'prod',
  });
  expect(await readFile(a, 'utf8')).toBe('# a\n');
  expect(parse(await readFile(b, 'utf8')).clusters[0].cluster.server).toBe(
    'https://new.example.com',
  );
  expect(
    addContext([missing, a, b], { ...added, context: 'test', cluster: 'test' }, true).path,
  ).toBe(a);
  // The current context is where kubectl looks for it first.
  expect(await view([missing, a, b])).toMatchObject({ 'current-context': 'test' });
  expect(parse(await readFile(a, 'utf8')).contexts).toHaveLength(1);
  expect(await readdir(folder.path)).toEqual(['a', 'b']);
});

test('an account of its own, and clients that hand over nothing, have a user of their own', async () => {
  await using folder = await temporaryFolder('kubeconfig');
  const path = join(folder.path, 'config');
  addContext([path], added, true);
  addContext([path], { ...added, context: 'prod-ada', username: 'ada' }, true);
  const words = ['--url', added.login, '--cluster', 'prod'];
  addContext([path], { ...added, context: 'ide', username: 'ada', words }, true);
  const { users, clusters } = await view([path]);
  expect(clusters).toHaveLength(1);
  expect(users).toEqual(
    expect.arrayContaining([
      { name: 'sallyport', user: exec(['token']) },
      { name: 'sallyport-ada', user: exec(['token', '--username', 'ada']) },
      {
        name: 'sallyport-prod@login.example.com:8444-ada',
        user: exec(['token', ...words, '--username', 'ada']),
      },
    ]),
  );
});

test('a context that is brought up to date keeps its namespace', async () => {
  await using folder = await temporaryFolder('kubeconfig');
  const path = join(folder.path, 'config');
  addContext([path], added, true);
  await promisify(execFile)('kubectl', [
    '--kubeconfig',
    path,
    'config',
    'set-context',
    'prod',
    '--namespace=apps',
  ]);
  addContext([path], added, true);
  expect((await view([path])).contexts[0].context.namespace).toBe('apps');
});

test.each([
  {
    text: 'contexts: [{name: prod, context: {cluster: old, user: old}}]',
    message: /has a context prod for something else.*--context NAME/,
  },
  {
    text: 'clusters: [{name: "prod@login.example.com:8444", cluster: {server: https://x}}]',
    message: /already has a cluster prod@login/,
  },
  {
    text: 'users: [{name: sallyport, user: {token: secret}}]',
    message: /has a user sallyport that is not for kubectl-sallyport/,
  },
])('$text is not replaced', async ({ text, message }) => {
  await using folder = await temporaryFolder('kubeconfig');
  const path = join(folder.path, 'config');
  await writeFile(path, text);
  expect(() => addContext([path], added, true)).toThrow(message);
  expect(await readFile(path, 'utf8')).toBe(text);
});

test("kubectl's lock is respected, and nothing is written without it", async () => {
  await using folder = await temporaryFolder('kubeconfig');
  const path = join(folder.path, 'config');
  await writeFile(path, '');
  await writeFile(`${path}.lock`, '');
  expect(() => addContext([path], added, true)).toThrow(
    /config\.lock exists, so kubectl is writing it/,
  );
  expect(await readFile(path, 'utf8')).toBe('');
  expect((await readdir(folder.path)).sort()).toEqual(['config', 'config.lock']);
});

test('a place that is not a folder is an error that names the file', async () => {
  await using folder = await temporaryFolder('kubeconfig');
  await writeFile(join(folder.path, 'file'), '');
  expect(() => addContext([join(folder.path, 'file/config')], added, true)).toThrow(
    /the kubeconfig .*file\/config/,
  );
});
