import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuthority } from './testing/certificates.ts';
import { done, get, loggedIn, logIn, newDesk, tokenOf, untilRefused } from './testing/kubectl-user.ts';
import { type Desk, type Site, startSite } from './testing/login-client.ts';
import { secret } from './testing/tokens.ts';

let site: Site;
beforeAll(async () => {
  site = await startSite({ count: 2, login: { maxSessions: 100, revalidate: '1s', limits: { perAddress: '1000/m' } } });
});
afterAll(() => site[Symbol.asyncDispose]());

/** Ends the session of a desk as another device does. */
async function revoke(token: string): Promise<void> {
  expect(await site.ask('DELETE', '/v1/session', token)).toBe(204);
  await untilRefused(site, token);
}

test('three commands, and kubectl works without a question until the logout', async () => {
  const desk = await loggedIn(site, ['--device', 'three commands']);
  expect(await desk.kubectl(get)).toEqual(done);
  expect(await desk.kubectl(get)).toEqual(done);
  const who = await desk.kubectl(['sallyport', 'whoami']);
  expect(who).toMatchObject({ code: 0, stderr: '' });
  expect(who.stdout).toMatch(
    /^User: +corp:alice\nGroups: +corp:k8s-admins\nCluster: +prod\nServer: +https:\S+\nUntil: +\d{4}-\d\d-\d\d \d\d:\d\d\n$/,
  );
  const sessions = await desk.sallyport(['sessions']);
  expect(sessions.stdout).toMatch(/^ +DEVICE +CLUSTER +SINCE +LAST USE +UNTIL\n/);
  expect(sessions.stdout).toMatch(/^\* +three commands +prod +\d{4}-.* \d{4}-.* \d{4}-/m);
  const token = await tokenOf(desk);
  const out = await desk.kubectl(['sallyport', 'logout']);
  expect(out).toEqual({ code: 0, stdout: 'logged out corp:alice of cluster prod\n', stderr: '' });
  const began = performance.now();
  await untilRefused(site, token);
  console.log(`a logout acted on both replicas after ${Math.round(performance.now() - began)} ms`);
  expect(performance.now() - began).toBeLessThan(5_000);
  const after = await desk.kubectl(get);
  expect([after.code, after.stdout]).toEqual([1, '']);
  expect(after.stderr).toContain(
    'not logged in to cluster prod, and there is no terminal to ask for a password. Run: kubectl sallyport login\n',
  );
  expect(await desk.sallyport(['logout'])).toMatchObject({
    code: 0,
    stdout: 'not logged in to cluster prod\n',
  });
});

test('on a terminal, kubectl asks once, again after a wrong password, and goes on with its request', async () => {
  const desk = await newDesk(site);
  const { name, password } = site.place.people.bob;
  const run = desk.terminal('kubectl get namespaces -o name');
  await waitFor(() => run.shown().includes('Username'), 'the prompt');
  expect(run.shown()).toContain(`Log in to cluster prod at ${site.url}\r\n`);
  run.type(`${name}\r${secret('not-the-password')}\r`);
  // Between the two prompts the terminal is as before, and shows what is typed.
  await waitFor(() => run.shown().match(/Username/g)?.length === 2, 'the second prompt');
  expect(run.shown()).toContain('wrong name or password');
  run.type(`${name}\r${password}\r`);
  expect(await run.ended).toBe(0);
  expect(run.shown()).toMatch(/Password of bob: \r\nnamespace\/default\r\n$/);
  expect(await desk.kubectl(get)).toEqual(done);
});

test('Ctrl-C at the prompt ends kubectl, and the terminal is as before', async () => {
  const desk = await newDesk(site);
  const run = desk.terminal('trap : INT; stty -g > before; kubectl get namespaces; echo $? > code; stty -g > after');
  await waitFor(() => run.shown().includes('Username'), 'the prompt');
  run.type('\x03');
  await run.ended;
  const read = (name: string) => readFile(join(desk.home, name), 'utf8');
  expect([await read('after'), await read('code')]).toEqual([await read('before'), '130\n']);
  expect(run.shown().match(/Username/g)).toHaveLength(1);
});

test('after three wrong passwords kubectl asks no more, though it runs the plugin again', async () => {
  const desk = await newDesk(site);
  const run = desk.terminal('kubectl get namespaces');
  for (let tries = 1; tries <= 3; tries++) {
    await waitFor(() => run.shown().match(/Username/g)?.length === tries, `prompt ${tries}`);
    run.type(`nobody-${tries}\rwrong\r`);
  }
  expect(await run.ended).toBe(1);
  expect(run.shown().match(/Username/g)).toHaveLength(3);
  expect(run.shown()).toContain('three prompts led to no login in 15 minutes. Run: kubectl sallyport login');
});

test('an apply from standard input is not interactive: nothing is asked', async () => {
  const desk = await newDesk(site);
  const run = desk.terminal('echo "{}" | kubectl create -f -');
  expect(await run.ended).toBe(1);
  expect(run.shown()).not.toContain('Username');
});

test('after a 401 the session is not trusted, and is forgotten when the server says so', async () => {
  const desk = await loggedIn(site);
  expect(await desk.kubectl(get)).toEqual(done);
  await revoke(await tokenOf(desk));
  const first = await desk.kubectl(get);
  expect([first.code, first.stdout]).toEqual([1, '']);
  expect(first.stderr).toContain('Run: kubectl sallyport login\n');
  await logIn(desk, site.place.people.alice);
  expect(await desk.kubectl(get)).toEqual(done);
});

test('a session that was not used for a while is not trusted', async () => {
  const desk = await loggedIn(site);
  await revoke(await tokenOf(desk));
  await setTimeOfUse(desk, Date.now() - 60_000);
  // Within these minutes kubectl finds out by itself.
  expect((await desk.sallyport(['token'])).code).toBe(0);
  await setTimeOfUse(desk, Date.now() - 6 * 60_000);
  expect(await desk.sallyport(['token'])).toMatchObject({ code: 1, stdout: '' });
});

async function setTimeOfUse(desk: Desk, time: number): Promise<void> {
  const folder = join(desk.home, '.cache/sallyport');
  for (const name of await readdir(folder)) await utimes(join(folder, name), time / 1000, time / 1000);
}

test.each([3, -3])('with a clock that is %i hours off, the session lasts as long as the server says', async (hours) => {
  const off = hours * 3_600_000;
  const shift = `const now = Date.now; Date.now = () => now() + ${off}`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(shift)}` };
  const desk = await newDesk(site);
  const { name, password } = site.place.people.alice;
  const words = ['login', '--username', name, '--password-stdin'];
  await desk.sallyport(words, { input: password, env });
  const { stdout } = await desk.sallyport(['token'], { env });
  const { expirationTimestamp } = JSON.parse(stdout).status;
  const left = Date.parse(expirationTimestamp) - (Date.now() + off);
  expect(Math.abs(left - (8 * 3_600_000 - 30_000))).toBeLessThan(120_000);
});

test('a login server that is away stops no one who is logged in, and is named to who is not', async () => {
  const desk = await loggedIn(site);
  try {
    site.reachable = false;
    expect(await desk.kubectl(get)).toEqual(done);
    expect(await desk.kubectl(get)).toEqual(done);
    expect(await desk.sallyport(['whoami'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining(`${site.url}: cannot reach the login server: `),
    });
    const out = await desk.sallyport(['logout']);
    expect([out.code, out.stderr]).toEqual([
      3,
      expect.stringMatching(
        /forgotten here, but at the server it lasts until \d{4}-.*run: kubectl sallyport logout --all/,
      ),
    ]);
  } finally {
    site.reachable = true;
  }
  expect((await desk.sallyport(['whoami'])).code).toBe(1);
});

test('a login server with another CA gets no password and no token, and stops no one who is logged in', async () => {
  const desk = await loggedIn(site);
  const other = await createAuthority('other-authority');
  const config = join(desk.home, '.kube/config');
  const kubeconfig = await readFile(config, 'utf8');
  const ca = JSON.stringify(other.certificate).slice(1, -1);
  await writeFile(
    config,
    kubeconfig.replace(/ca: "[^"]*"/, () => `ca: "${ca}"`),
  );
  expect(await desk.kubectl(get)).toEqual(done);
  const who = await desk.sallyport(['whoami']);
  expect([who.code, who.stderr]).toEqual([
    3,
    expect.stringMatching(
      /cannot verify its certificate \(\w+\): .* run: kubectl sallyport init https:\S+ --ca-file FILE/,
    ),
  ]);
  // NODE_TLS_REJECT_UNAUTHORIZED is for those who do not mind who gets their password.
  const env = { NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_NO_WARNINGS: '1' };
  expect((await desk.sallyport(['whoami'], { env })).code).toBe(3);
  await desk.sallyport(['init', site.url, 'prod', '--ca-file', site.caFile]);
  expect((await desk.sallyport(['whoami'])).code).toBe(0);
});
