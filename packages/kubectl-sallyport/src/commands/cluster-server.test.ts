import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { expect, test } from 'vitest';
import { createMemory } from '../cache/memory.ts';
import { cacheName } from '../target.ts';
import { createClient, execInfo } from '../testing/client.ts';
import { localServer } from '../testing/local-server.ts';

const kubeconfig = (server: string) => `clusters: [{name: prod, cluster: {server: '${server}'}}]`;

const session = {
  token: 'sps_x',
  user: { username: 'corp:ada' },
  expiresAt: '2999-01-01T00:00:00Z',
};

/** Caches a session at a login server that answers as `answer` says. */
async function desk(home: string, answer: { status: number; text: string }) {
  const requests: string[] = [];
  const url = await localServer((request, response) => {
    if (request.url?.endsWith('/kubeconfig')) requests.push(request.url);
    if (request.method === 'POST') response.writeHead(201).end(JSON.stringify(session));
    else response.writeHead(answer.status).end(answer.text);
  });
  const client = createClient(home);
  const target = { url, cluster: 'prod' };
  client.cacheSession(target);
  const memory = createMemory(join(client.cache, `${cacheName(target)}.memory`));
  const token = (server?: string, words: readonly string[] = []) =>
    client.run(['token', ...words], execInfo({ login: url, cluster: 'prod' }, false, server));
  return { client, url, requests, memory, token };
}

test('kubectl gets no token for another server than the login server names', async () => {
  await using home = await temporaryFolder('server');
  const { url, token } = await desk(home.path, {
    status: 200,
    text: kubeconfig('https://kube.example.com'),
  });
  expect(await token('https://evil.example.com:6443/')).toEqual({
    code: 1,
    stdout: '',
    stderr:
      'kubectl-sallyport: this kubeconfig sends the token of cluster prod to https://evil.example.com:6443, ' +
      `but the login server ${url} names https://kube.example.com\n` +
      `  fix: check who made this kubeconfig, and run: kubectl sallyport init ${url} prod. If it is your own way to the cluster, ` +
      `such as a tunnel, run: kubectl sallyport login --url ${url} --cluster prod --allow-server https://evil.example.com:6443\n`,
  });
});

test('a server in a command to paste is quoted, and so is the URL of a login server', async () => {
  await using home = await temporaryFolder('server');
  const { client, token } = await desk(home.path, {
    status: 200,
    text: kubeconfig('https://kube.example.com'),
  });
  expect((await token('https://evil.example.com/$(id)')).stderr).toMatch(
    / --allow-server 'https:\/\/evil\.example\.com\/\$\(id\)'\n$/,
  );
  const config = { login: 'https://localhost:1/;id', cluster: 'prod' };
  const { stderr } = await client.run(['token'], execInfo(config));
  expect(stderr).toMatch(/run: kubectl sallyport login --url 'https:\/\/localhost:1\/;id' /);
});

test.each([
  'https://kube.example.com',
  'https://kube.example.com/',
  'https://KUBE.example.com:443',
])('%s is the remembered server, and the login server is not asked', async (server) => {
  await using home = await temporaryFolder('server');
  const { token, requests } = await desk(home.path, { status: 500, text: '' });
  expect(await token(server)).toMatchObject({ code: 0, stderr: '' });
  expect(requests).toEqual([]);
});

test.each([
  'https://kube.example.com.evil.example',
  'https://kube.example.com:6443',
  'https://kube.example.com/evil',
  'http://kube.example.com',
  'https://kube.example.com@evil.example',
  'https://evil.example/?https://kube.example.com',
  'kube.example.com',
])('%s is another server', async (server) => {
  await using home = await temporaryFolder('server');
  const { token } = await desk(home.path, {
    status: 200,
    text: kubeconfig('https://kube.example.com'),
  });
  expect(await token(server)).toMatchObject({ code: 1, stdout: '' });
});

test('a cluster that has moved is found by one question to the login server', async () => {
  await using home = await temporaryFolder('server');
  const { token, requests } = await desk(home.path, {
    status: 200,
    text: kubeconfig('https://new.example.com'),
  });
  for (let time = 0; time < 3; time++)
    expect(await token('https://new.example.com')).toMatchObject({ code: 0, stderr: '' });
  expect(requests).toEqual(['/v1/clusters/prod/kubeconfig']);
  // The old one could belong to someone else now.
  expect((await token('https://kube.example.com')).code).toBe(1);
});

test('a login server that can not be asked gives kubectl no token for a server that is not known', async () => {
  await using home = await temporaryFolder('server');
  const { token } = await desk(home.path, { status: 503, text: '' });
  const { code, stdout, stderr } = await token('https://new.example.com');
  expect([code, stdout, stderr]).toEqual([3, '', expect.stringContaining('it answered 503')]);
});

test.each([
  { what: 'has no kubeconfig', answer: { status: 404, text: '' } },
  { what: 'names no server', answer: { status: 200, text: 'clusters: []' } },
])(
  'a login server that $what says nothing against a server, and is asked once',
  async ({ answer }) => {
    await using home = await temporaryFolder('server');
    const { token, requests } = await desk(home.path, answer);
    for (const server of ['https://a.example.com', 'https://b.example.com'])
      expect(await token(server)).toMatchObject({ code: 0, stderr: '' });
    expect(requests).toHaveLength(1);
  },
);

test('an old session, of which no server is remembered, is compared as well', async () => {
  await using home = await temporaryFolder('server');
  const { token, memory, requests } = await desk(home.path, {
    status: 200,
    text: kubeconfig('https://kube.example.com'),
  });
  memory.remember({ server: undefined });
  expect((await token('https://evil.example.com')).code).toBe(1);
  expect(await token()).toMatchObject({ code: 0, stderr: '' });
  expect(requests).toHaveLength(1);
});

test('a client that does not say where the token goes gets it', async () => {
  await using home = await temporaryFolder('server');
  const { client, url } = await desk(home.path, { status: 500, text: '' });
  const words = ['token', '--url', url, '--cluster', 'prod'];
  expect(await client.run(words, execInfo(undefined))).toMatchObject({ code: 0, stderr: '' });
});

test('login --allow-server allows the tunnel of a user, next to the named server, and asks where the cluster is', async () => {
  await using home = await temporaryFolder('server');
  const { client, url, token, requests, memory } = await desk(home.path, {
    status: 200,
    text: kubeconfig('https://moved.example.com'),
  });
  await writeFile(join(home.path, 'password'), 'secret');
  const login = (server: string, more: Readonly<Record<string, string>> = {}) =>
    client.run(['login', '--url', url, '--cluster', 'prod', '--allow-server', server], {
      SALLYPORT_PASSWORD_FILE: join(home.path, 'password'),
      SALLYPORT_USERNAME: 'ada',
      ...more,
    });
  expect(await login('https://LOCALHOST:6443/')).toMatchObject({ code: 0 });
  expect(memory.read()).toEqual({
    user: 'corp:ada',
    server: 'https://moved.example.com',
    allowedServers: ['https://localhost:6443'],
  });
  requests.length = 0;
  for (const server of ['https://localhost:6443', 'https://moved.example.com'])
    expect((await token(server)).code).toBe(0);
  expect((await token('https://localhost:6444')).code).toBe(1);
  // A kubeconfig could have this command in it.
  const { code, stderr } = await login('https://evil.example.com', execInfo(undefined));
  expect([code, stderr]).toEqual([2, expect.stringContaining('only the command token prints one')]);
  expect((await token('https://evil.example.com')).code).toBe(1);
  for (const server of ['localhost:6443', 'evil', 'file:///etc/passwd'])
    expect((await login(server)).stderr).toContain(`${server} is not the URL of an API server`);
  expect((await token('https://x.example.com', ['--allow-server', 'https://x'])).code).toBe(2);
});

test('of many allowed servers, the last ones stay', async () => {
  await using home = await temporaryFolder('server');
  const memory = createMemory(join(home.path, 'x.memory'));
  for (let port = 1; port <= 20; port++) memory.allowServer(`https://127.0.0.1:${port}`);
  memory.allowServer('https://127.0.0.1:19');
  const { allowedServers } = memory.read();
  expect(allowedServers).toHaveLength(16);
  expect(allowedServers.slice(-2)).toEqual(['https://127.0.0.1:20', 'https://127.0.0.1:19']);
});
