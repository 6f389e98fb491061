import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { describe, expect, test } from 'vitest';
import { createClient } from '../testing/client.ts';
import { localServer } from '../testing/local-server.ts';

/** A login server that is busy for the first requests. @param waits their `Retry-After` */
async function busyFor(waits: readonly string[], status: number, answer: object = {}) {
  const requests: string[] = [];
  const url = await localServer(({ method, url: path }, response) => {
    const wait = waits[requests.push(`${method} ${path}`) - 1];
    if (wait !== undefined) response.writeHead(429, { 'retry-after': wait }).end();
    else response.writeHead(status).end(status === 204 ? undefined : JSON.stringify(answer));
  });
  return { url, requests, words: ['--url', url, '--cluster', 'prod'] };
}

const session = {
  token: 'sps_x',
  user: { username: 'corp:ada' },
  expiresAt: '2999-01-01T00:00:00Z',
};

async function logIn(url: string) {
  await using home = await temporaryFolder('busy');
  const password = join(home.path, 'password');
  await writeFile(password, 'secret');
  const words = ['login', '--url', url, '--cluster', 'prod', '--username', 'ada'];
  return await createClient(home.path).run(words, { SALLYPORT_PASSWORD_FILE: password });
}

test.each(['0.001', '1e-3', '-1', ' ', 'Thu, 01 Jan 1970 00:00:00 GMT'])(
  'a server whose Retry-After is %j gets the password once',
  async (wait) => {
    const { url, requests } = await busyFor(Array(100).fill(wait), 201, session);
    expect(await logIn(url)).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('try again later'),
    });
    expect(requests).toEqual(['POST /v1/sessions']);
  },
);

test('a server whose Retry-After is 0 gets the password again after a second', async () => {
  const { url, requests } = await busyFor(['0'], 201, session);
  const begun = performance.now();
  expect(await logIn(url)).toMatchObject({ code: 0 });
  // Timers may be a millisecond early.
  expect(performance.now() - begun).toBeGreaterThanOrEqual(999);
  expect(requests.slice(0, 2)).toEqual(['POST /v1/sessions', 'POST /v1/sessions']);
  expect(requests.slice(2)).toEqual(['GET /v1/clusters/prod/kubeconfig']);
});

test.each([
  { what: 'logout', all: [], request: 'DELETE /v1/session', status: 204, done: 'of cluster prod' },
  {
    what: 'logout --all',
    all: ['--all'],
    request: 'DELETE /v1/sessions',
    status: 200,
    done: 'everywhere: 1 session ended',
  },
])('$what waits for a server that is busy', async ({ all, request, status, done }) => {
  await using home = await temporaryFolder('busy');
  const { url, requests, words } = await busyFor(['1'], status, { ended: 1 });
  const client = createClient(home.path);
  const file = client.cacheSession({ url, cluster: 'prod' });
  const stdout = `logged out corp:ada ${done}\n`;
  expect(await client.run(['logout', ...all, ...words])).toEqual({ code: 0, stdout, stderr: '' });
  expect(requests).toEqual([request, request]);
  expect(existsSync(file)).toBe(false);
});

describe.each([{ all: [] }, { all: ['--all'] }])('logout $all', ({ all }) => {
  test.each([
    { what: 'is busy', status: 429, problem: 'too many requests, and it asks to wait 3600s' },
    { what: 'cannot reach its Redis', status: 503, problem: 'it answered 503' },
    { what: 'has another name now', status: 403, problem: 'it answered 403' },
  ])(
    'at a server that $what keeps the session, and can be repeated',
    async ({ status, problem }) => {
      await using home = await temporaryFolder('busy');
      let answer = status;
      const url = await localServer((_request, response) => {
        response
          .writeHead(answer, { 'retry-after': '3600' })
          .end(answer === 200 ? '{"ended": 1}' : undefined);
      });
      const client = createClient(home.path);
      const file = client.cacheSession({ url, cluster: 'prod' });
      const logout = () => client.run(['logout', ...all, '--url', url, '--cluster', 'prod']);
      const { code, stdout, stderr } = await logout();
      expect([code, stdout, existsSync(file)]).toEqual([status === 403 ? 2 : 3, '', true]);
      expect(stderr.replace(/\d{4}-\d\d-\d\d \d\d:\d\d (?:UTC|[+-]\d\d:\d\d)/, 'TIME')).toBe(
        `kubectl-sallyport: ${url}: ${problem}. The session is kept here, since it might be valid until TIME\n` +
          '  fix: to end it, run this again, or ask your administrator to revoke corp:ada\n',
      );
      answer = 200;
      expect(await logout()).toMatchObject({ code: 0, stderr: '' });
      expect(existsSync(file)).toBe(false);
    },
  );
});

test('a session whose time is over is forgotten, whether the server answers or not', async () => {
  await using home = await temporaryFolder('busy');
  const { url, words } = await busyFor(['3600'], 204);
  const client = createClient(home.path);
  const file = client.cacheSession({ url, cluster: 'prod' }, { left: -1 });
  expect(await client.run(['logout', ...words])).toMatchObject({ code: 0, stderr: '' });
  expect(existsSync(file)).toBe(false);
});
