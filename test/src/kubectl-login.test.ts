import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuthority } from './testing/certificates.ts';
import { createDesk, type Desk, type Site, startSite } from './testing/login-client.ts';
import { secret } from './testing/tokens.ts';
import { waitFor } from './testing/wait-for.ts';

let site: Site;
beforeAll(async () => {
  site = await startSite({ count: 2, login: { maxSessions: 100, revalidate: '1s', limits: { perAddress: '1000/m' } } });
});
afterAll(() => site[Symbol.asyncDispose]());

const get = ['get', 'namespaces', '-o', 'name'];
const done = { code: 0, stdout: 'namespace/default\n', stderr: '' };

type Person = { readonly name: string; readonly password: string };

/** `init` and `login`, as the README says. */
async function loggedIn(person: Person = site.place.people.alice, words: readonly string[] = []): Promise<Desk> {
  const desk = await createDesk();
  const added = await desk.kubectl(['sallyport', 'init', site.url, 'prod', '--ca-file', site.caFile]);
  expect(added, added.stderr).toMatchObject({ code: 0, stderr: '' });
  await logIn(desk, person, words);
  return desk;
}

async function logIn(desk: Desk, { name, password }: Person, words: readonly string[] = []): Promise<void> {
  const command = ['sallyport', 'login', '--username', name, '--password-stdin', ...words];
  const result = await desk.kubectl(command, { input: `${password}\n` });
  expect(result, result.stderr).toMatchObject({ code: 0, stderr: '' });
}

/** What kubectl gets. */
async function tokenOf(desk: Desk): Promise<string> {
  const { stdout } = await desk.kubectl(['sallyport', 'token']);
  return secret(JSON.parse(stdout).status.token);
}

/** Gateways remember for a second what they were asked. */
async function untilRefused(token: string): Promise<void> {
  const isRefused = async () => {
    const reviews = await site.place.reviews(token);
    return (
      reviews.every(({ authenticated }) => !authenticated) && (await site.ask('GET', '/v1/session', token)) === 401
    );
  };
  await waitFor(isRefused, 'the end of the session');
}

/** Ends the session of a desk as another device does. */
async function revoke(token: string): Promise<void> {
  expect(await site.ask('DELETE', '/v1/session', token)).toBe(204);
  await untilRefused(token);
}

const sessionsOf = async (desk: Desk): Promise<readonly Record<string, unknown>[]> =>
  JSON.parse((await desk.kubectl(['sallyport', 'sessions', '-o', 'json'])).stdout);

test('three commands, and kubectl works without a question until the logout', async () => {
  const desk = await loggedIn(undefined, ['--device', 'three commands']);
  expect(await desk.kubectl(get)).toEqual(done);
  expect(await desk.kubectl(get)).toEqual(done);
  const who = await desk.kubectl(['sallyport', 'whoami']);
  expect(who).toMatchObject({ code: 0, stderr: '' });
  expect(who.stdout).toMatch(
    /^User: +corp:alice\nGroups: +corp:k8s-admins\nCluster: +prod\nServer: +https:\S+\nUntil: +\d{4}-\d\d-\d\d \d\d:\d\d\n$/,
  );
  const sessions = await desk.kubectl(['sallyport', 'sessions']);
  expect(sessions.stdout).toMatch(/^ +DEVICE +CLUSTER +SINCE +LAST USE +UNTIL\n/);
  expect(sessions.stdout).toMatch(/^\* +three commands +prod +\d{4}-.* \d{4}-.* \d{4}-/m);
  const token = await tokenOf(desk);
  const out = await desk.kubectl(['sallyport', 'logout']);
  expect(out).toEqual({ code: 0, stdout: 'logged out corp:alice of cluster prod\n', stderr: '' });
  const began = performance.now();
  await untilRefused(token);
  console.log(`a logout acted on both replicas after ${Math.round(performance.now() - began)} ms`);
  expect(performance.now() - began).toBeLessThan(5_000);
  const after = await desk.kubectl(get);
  expect([after.code, after.stdout]).toEqual([1, '']);
  expect(after.stderr).toContain(
    'not logged in to cluster prod, and there is no terminal to ask for a password. Run: kubectl sallyport login\n',
  );
  expect(await desk.kubectl(['sallyport', 'logout'])).toMatchObject({
    code: 0,
    stdout: 'not logged in to cluster prod\n',
  });
});

test('on a terminal, kubectl asks once, again after a wrong password, and goes on with its request', async () => {
  const desk = await createDesk();
  await desk.kubectl(['sallyport', 'init', site.url, 'prod', '--ca-file', site.caFile]);
  const { name, password } = site.place.people.bob;
  const run = desk.terminal('kubectl get namespaces -o name');
  await waitFor(() => run.shown().includes('Username'), 'the prompt');
  expect(run.shown()).toContain(`Log in to cluster prod at ${site.url}\r\n`);
  run.type(`${name}\r${secret('not-the-password')}\r`);
  await waitFor(() => run.shown().includes('wrong name or password'), 'the refusal');
  run.type(`${name}\r${password}\r`);
  expect(await run.ended).toBe(0);
  expect(run.shown()).toMatch(/Password of bob: \r\nnamespace\/default\r\n$/);
  expect(await desk.kubectl(get)).toEqual(done);
});

test('Ctrl-C at the prompt ends kubectl, and the terminal is as before', async () => {
  const desk = await createDesk();
  await desk.kubectl(['sallyport', 'init', site.url, 'prod', '--ca-file', site.caFile]);
  const run = desk.terminal('trap : INT; stty -g > before; kubectl get namespaces; echo $? > code; stty -g > after');
  await waitFor(() => run.shown().includes('Username'), 'the prompt');
  run.type('\x03');
  await run.ended;
  const read = (name: string) => readFile(join(desk.home, name), 'utf8');
  expect([await read('after'), await read('code')]).toEqual([await read('before'), '130\n']);
  expect(run.shown().match(/Username/g)).toHaveLength(1);
});

test('after three wrong passwords kubectl asks no more, though it runs the plugin again', async () => {
  const desk = await createDesk();
  await desk.kubectl(['sallyport', 'init', site.url, 'prod', '--ca-file', site.caFile]);
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
  const desk = await createDesk();
  await desk.kubectl(['sallyport', 'init', site.url, 'prod', '--ca-file', site.caFile]);
  const run = desk.terminal('echo "{}" | kubectl create -f -');
  expect(await run.ended).toBe(1);
  expect(run.shown()).not.toContain('Username');
});

test('after a 401 the session is not trusted, and is forgotten when the server says so', async () => {
  const desk = await loggedIn();
  expect(await desk.kubectl(get)).toEqual(done);
  await revoke(await tokenOf(desk));
  const first = await desk.kubectl(get);
  expect([first.code, first.stdout]).toEqual([1, '']);
  expect(first.stderr).toContain('Run: kubectl sallyport login\n');
  await logIn(desk, site.place.people.alice);
  expect(await desk.kubectl(get)).toEqual(done);
});

test('a session that was not used for a while is not trusted', async () => {
  const desk = await loggedIn();
  await revoke(await tokenOf(desk));
  await setTimeOfUse(desk, Date.now() - 60_000);
  // Within these minutes kubectl finds out by itself.
  expect((await desk.kubectl(['sallyport', 'token'])).code).toBe(0);
  await setTimeOfUse(desk, Date.now() - 6 * 60_000);
  expect(await desk.kubectl(['sallyport', 'token'])).toMatchObject({ code: 1, stdout: '' });
});

async function setTimeOfUse(desk: Desk, time: number): Promise<void> {
  const folder = join(desk.home, '.cache/sallyport');
  for (const name of await readdir(folder)) await utimes(join(folder, name), time / 1000, time / 1000);
}

test.each([3, -3])('with a clock that is %i hours off, the session lasts as long as the server says', async (hours) => {
  const off = hours * 3_600_000;
  const shift = `const now = Date.now; Date.now = () => now() + ${off}`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(shift)}` };
  const desk = await createDesk();
  await desk.kubectl(['sallyport', 'init', site.url, 'prod', '--ca-file', site.caFile]);
  const { name, password } = site.place.people.alice;
  const words = ['sallyport', 'login', '--username', name, '--password-stdin'];
  await desk.kubectl(words, { input: password, env });
  const { stdout } = await desk.kubectl(['sallyport', 'token'], { env });
  const { expirationTimestamp } = JSON.parse(stdout).status;
  const left = Date.parse(expirationTimestamp) - (Date.now() + off);
  expect(Math.abs(left - (8 * 3_600_000 - 30_000))).toBeLessThan(120_000);
});

test('a login server that is away stops no one who is logged in, and is named to who is not', async () => {
  const desk = await loggedIn();
  try {
    site.reachable = false;
    expect(await desk.kubectl(get)).toEqual(done);
    expect(await desk.kubectl(get)).toEqual(done);
    expect(await desk.kubectl(['sallyport', 'whoami'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining(`${site.url}: cannot reach the login server: `),
    });
    const out = await desk.kubectl(['sallyport', 'logout']);
    expect([out.code, out.stderr]).toEqual([
      3,
      expect.stringMatching(
        /forgotten here, but at the server it lasts until \d{4}-.*run: kubectl sallyport logout --all/,
      ),
    ]);
  } finally {
    site.reachable = true;
  }
  expect((await desk.kubectl(['sallyport', 'whoami'])).code).toBe(1);
});

test('a login server with another CA gets no password and no token, and stops no one who is logged in', async () => {
  const desk = await loggedIn();
  const other = await createAuthority('other-authority');
  const config = join(desk.home, '.kube/config');
  const kubeconfig = await readFile(config, 'utf8');
  const ca = JSON.stringify(other.certificate).slice(1, -1);
  await writeFile(
    config,
    kubeconfig.replace(/ca: "[^"]*"/, () => `ca: "${ca}"`),
  );
  expect(await desk.kubectl(get)).toEqual(done);
  const who = await desk.kubectl(['sallyport', 'whoami']);
  expect([who.code, who.stderr]).toEqual([
    3,
    expect.stringMatching(
      /cannot verify its certificate \(\w+\): .* run: kubectl sallyport init https:\S+ --ca-file FILE/,
    ),
  ]);
  // NODE_TLS_REJECT_UNAUTHORIZED is for those who do not mind who gets their password.
  const env = { NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_NO_WARNINGS: '1' };
  expect((await desk.kubectl(['sallyport', 'whoami'], { env })).code).toBe(3);
  await desk.kubectl(['sallyport', 'init', site.url, 'prod', '--ca-file', site.caFile]);
  expect((await desk.kubectl(['sallyport', 'whoami'])).code).toBe(0);
});

test('several kubectl of a CI job log in once', async () => {
  const desk = await createDesk();
  await desk.kubectl(['sallyport', 'init', site.url, 'prod', '--ca-file', site.caFile]);
  const { name, password } = site.place.people.bob;
  await writeFile(join(desk.home, 'password'), `${password}\n`);
  const device = 'ci job';
  const env = {
    SALLYPORT_PASSWORD_FILE: join(desk.home, 'password'),
    SALLYPORT_USERNAME: name,
    SALLYPORT_DEVICE: device,
  };
  const all = await Promise.all(Array.from({ length: 4 }, () => desk.kubectl(get, { env })));
  expect(all).toEqual(
    Array.from({ length: 4 }, () => ({
      ...done,
      stderr: expect.stringMatching(/^(waiting for the login of another kubectl\n)?$/),
    })),
  );
  expect((await sessionsOf(desk)).filter((one) => one.device === device)).toHaveLength(1);
});

test('a wrong password in a file is tried once, by one of several kubectl', async () => {
  const desk = await createDesk();
  await desk.kubectl(['sallyport', 'init', site.url, 'prod', '--ca-file', site.caFile]);
  await writeFile(join(desk.home, 'password'), secret('wrong-password'));
  const env = { SALLYPORT_PASSWORD_FILE: join(desk.home, 'password'), SALLYPORT_USERNAME: site.place.people.bob.name };
  const { code, stdout, stderr } = await desk.kubectl(get, { env });
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain('wrong name or password, or this user may not log in to cluster prod');
});

test('two accounts at one cluster are two contexts', async () => {
  const desk = await loggedIn();
  const { bob } = site.place.people;
  await desk.kubectl(['sallyport', 'init', site.url, 'prod', '--ca-file', site.caFile, '--username', bob.name]);
  const login = ['sallyport', 'login', '--password-stdin'];
  expect(await desk.kubectl(login, { input: bob.password })).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('corp:bob'),
  });
  const user = async (context: string) =>
    JSON.parse((await desk.kubectl(['sallyport', 'whoami', '-o', 'json', '--context', context])).stdout).user;
  expect([await user('prod'), await user('prod-bob')]).toEqual(['corp:alice', 'corp:bob']);
  const refused = await desk.kubectl([...login, '--username', 'alice'], { input: 'x' });
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('this context is for the account bob')]);
});

test('a login as another user ends the session before it', async () => {
  const desk = await loggedIn();
  const token = await tokenOf(desk);
  await logIn(desk, site.place.people.bob);
  await untilRefused(token);
  expect((await desk.kubectl(['sallyport', 'whoami'])).stdout).toContain('corp:bob');
});

test('logout --all ends the sessions of all devices and clusters', async () => {
  const [desk, other] = [await loggedIn(), await loggedIn()];
  const token = await tokenOf(other);
  await desk.kubectl(['sallyport', 'init', site.url, 'staging', '--ca-file', site.caFile]);
  await logIn(desk, site.place.people.alice);
  const out = await desk.kubectl(['sallyport', 'logout', '--all']);
  expect([out.code, out.stdout]).toEqual([
    0,
    expect.stringMatching(/^logged out corp:alice everywhere: \d+ sessions ended\n$/),
  ]);
  expect(await readdir(join(desk.home, '.cache/sallyport'))).toEqual([]);
  await untilRefused(token);
  expect((await other.kubectl(get)).code).toBe(1);
  const again = await other.kubectl(['sallyport', 'logout', '--all']);
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('only a session can end the others. Run: ')]);
});

test('init lists the clusters when there is a choice, and takes all of them if told to', async () => {
  const desk = await createDesk();
  const words = ['sallyport', 'init', site.url, '--ca-file', site.caFile];
  const choice = await desk.kubectl(words);
  expect([choice.code, choice.stderr]).toEqual([
    2,
    expect.stringMatching(/several clusters: prod, staging\. Name one/),
  ]);
  expect(await desk.kubectl([...words, 'test'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no cluster test'),
  });
  expect((await desk.kubectl([...words, '--all'])).stdout).toMatch(/^added context prod to .*config\n/);
  const { stdout } = await desk.kubectl(['config', 'get-contexts', '-o', 'name']);
  expect(stdout).toBe('prod\nstaging\n');
  const unknown = await desk.kubectl(['sallyport', 'init', site.url]);
  expect([unknown.code, unknown.stderr]).toEqual([3, expect.stringContaining('no CA that this machine trusts')]);
  const trusted = await desk.kubectl(['sallyport', 'init', site.url, 'prod'], {
    env: { NODE_EXTRA_CA_CERTS: site.caFile },
  });
  expect(trusted).toMatchObject({ code: 0, stdout: expect.stringContaining('to log in: kubectl sallyport login\n') });
});

test('a client that hands over nothing of the cluster works with --no-cluster-info', async () => {
  const desk = await createDesk();
  const words = ['sallyport', 'init', site.url, 'prod', '--ca-file', site.caFile, '--no-cluster-info'];
  await desk.kubectl(words);
  await logIn(desk, site.place.people.alice);
  const kubeconfig = join(desk.home, '.kube/config');
  await writeFile(
    kubeconfig,
    (await readFile(kubeconfig, 'utf8'))
      .replace('provideClusterInfo: "true"', 'provideClusterInfo: false')
      .replace('provideClusterInfo: true', 'provideClusterInfo: false'),
  );
  expect(await desk.kubectl(get)).toEqual(done);
});

test('an answer of another server is none of a login server', async () => {
  const desk = await createDesk();
  const [gateway] = site.place.replicas.gateways;
  const result = await desk.kubectl(['sallyport', 'init', String(gateway?.adminUrl)]);
  expect([result.code, result.stdout]).toEqual([1, '']);
  expect(result.stderr).toMatch(/: it answered 404.*Check the URL and the cluster/);
});
