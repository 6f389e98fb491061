import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { startReplica, untilInSync } from '@sallyport/test-servers/redis';
import { secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commandsIn } from './testing/documents.ts';
import type { Gateway } from './testing/gateway.ts';
import {
  done,
  getNamespaces,
  loggedIn,
  logIn,
  newDesk,
  tokenOf,
  typePassword,
  untilRefused,
} from './testing/kubectl-user.ts';
import { createDesk, type Desk, type Site, startSite } from './testing/login-client.ts';
import { scrape } from './testing/scrape.ts';

let site: Site;
beforeAll(async () => {
  site = await startSite({
    login: { maxSessions: 100, revalidate: '1s', limits: { perAddress: '1000/m', inFlight: 1 } },
    // A login waits for a directory that hangs until a second one has come, however slow this machine is.
    entry: { cache: { staleTtl: '10m' }, timeout: '28s' },
    options: { serverTimeout: '25s' },
    more: { server: { reviewTimeout: '30s' } },
  });
});
afterAll(() => site[Symbol.asyncDispose]());

/** Ends the session of a desk as another device does. */
async function revoke(token: string): Promise<void> {
  expect(await site.ask('DELETE', '/v1/session', token)).toBe(204);
  await untilRefused(site, token);
}

test('three commands, and kubectl works without a question until the logout', async () => {
  const desk = await createDesk();
  const [, add = '', log = ''] = (await commandsIn('docs/login.md', 'npm install')).split('\n');
  const init = add.replace(/ *#.*$/, '').replace(/https:\S+/, site.url);
  expect(await desk.kubectl([...init.split(' ').slice(1), '--ca-file', site.caFile])).toMatchObject(
    { code: 0 },
  );
  const { name, password } = site.place.people.alice;
  const prompt = desk.terminal(`${log} --device 'three commands'`);
  await waitFor(() => prompt.shown().includes('Username'), 'the prompt');
  prompt.type(`${name}\r${password}\r`);
  expect(await prompt.ended).toBe(0);
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
  const who = await desk.kubectl(['sallyport', 'whoami']);
  expect(who).toMatchObject({ code: 0, stderr: '' });
  expect(who.stdout).toMatch(
    /^User: +corp:alice\nGroups: +corp:k8s-admins\nCluster: +prod\nServer: +https:\S+\nUntil: +\d{4}-\d\d-\d\d \d\d:\d\d (?:UTC|[+-]\d\d:\d\d), or when you do not use it for 2h\n$/,
  );
  const sessions = await desk.sallyport(['sessions']);
  expect(sessions.stdout).toMatch(/^ +DEVICE +CLUSTER +SINCE +LAST USE +UNTIL +STATE\n/);
  expect(sessions.stdout).toMatch(/^\* +three commands +prod +\d{4}-.* \d{4}-.* \d{4}-.* good$/m);
  const token = await tokenOf(desk);
  const out = await desk.kubectl(['sallyport', 'logout']);
  expect(out).toEqual({ code: 0, stdout: 'logged out corp:alice of cluster prod\n', stderr: '' });
  await untilRefused(site, token);
  const after = await desk.kubectl(getNamespaces);
  expect([after.code, after.stdout]).toEqual([1, '']);
  expect(after.stderr).toContain(
    'not logged in to cluster prod, and there is no terminal to ask for a password\n  fix: run: kubectl sallyport login\n',
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
  // The name that was typed is offered again.
  expect(run.shown()).toContain(`Username [${name}]: `);
  run.type(`\r${password}\r`);
  expect(await run.ended).toBe(0);
  expect(run.shown()).toMatch(/Password of bob: \r\nnamespace\/default\r\n$/);
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
});

test('Ctrl-C at the prompt ends kubectl, and the terminal is as before', async () => {
  const desk = await newDesk(site);
  const run = desk.terminal(
    'trap : INT; stty -g > before; kubectl get namespaces; echo $? > code; stty -g > after',
  );
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
  for (let attempt = 1; attempt <= 3; attempt++) {
    await waitFor(() => run.shown().match(/Username/g)?.length === attempt, `prompt ${attempt}`);
    run.type(`nobody-${attempt}\rwrong\r`);
  }
  expect(await run.ended).toBe(1);
  expect(run.shown().match(/Username/g)).toHaveLength(3);
  expect(run.shown()).toContain(
    'three prompts led to no login in 15m\r\n  fix: run: kubectl sallyport login',
  );
});

test('a wrong password in a file is tried once, by one of several kubectl', async () => {
  const desk = await newDesk(site);
  await writeFile(join(desk.home, 'password'), secret('wrong-password'));
  const env = {
    SALLYPORT_PASSWORD_FILE: join(desk.home, 'password'),
    SALLYPORT_USERNAME: site.place.people.bob.name,
  };
  const { code, stdout, stderr } = await desk.kubectl(getNamespaces, { env });
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain(
    'wrong name or password, or this user is not allowed to log in to cluster prod',
  );
});

test('an apply from standard input is not interactive: nothing is asked', async () => {
  const desk = await newDesk(site);
  const run = desk.terminal('echo "{}" | kubectl create -f -');
  expect(await run.ended).toBe(1);
  expect(run.shown()).not.toContain('Username');
});

test('after a 401 the session is not trusted, and is forgotten when the server says so', async () => {
  const desk = await loggedIn(site);
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
  await revoke(await tokenOf(desk));
  const first = await desk.kubectl(getNamespaces);
  expect([first.code, first.stdout]).toEqual([1, '']);
  expect(first.stderr).toContain('fix: run: kubectl sallyport login\n');
  await logIn(desk, site.place.people.alice);
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
});

test('when the sealing key of its session is removed, kubectl asks for the password again', async () => {
  const desk = await loggedIn(site);
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
  const { config, people } = site.place;
  const { redis } = config.cache as { readonly redis: object };
  const [gateway] = site.gateways as [Gateway];
  await gateway.write('secrets/new-key', secret(randomBytes(32).toString('base64')));
  const sealingKeys = [{ file: 'secrets/new-key' }];
  await gateway.configure({ ...config, cache: { redis: { ...redis, sealingKeys } } });
  await gateway.reload();
  try {
    // The plugin gives kubectl the session unchecked. kubectl runs it again after the 401, but does not repeat its request.
    await setTimeOfUse(desk, Date.now() - 60_000);
    const run = desk.terminal('kubectl get namespaces -o name');
    await typePassword(run, people.alice);
    expect([await run.ended, run.shown()]).toEqual([
      1,
      expect.stringMatching(/Password of alice: \r\nerror: You must be logged in to the server /),
    ]);
    expect(await desk.kubectl(getNamespaces)).toEqual(done);
    await gateway.waitForLog('session refused: its sealing key was removed');
  } finally {
    await gateway.configure(config);
    await gateway.reload();
    // A gateway that another test starts again in this folder would take it for a secret that was written there.
    await rm(join(gateway.folder, 'secrets/new-key'));
  }
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
  for (const name of await readdir(folder))
    await utimes(join(folder, name), time / 1000, time / 1000);
}

test.each([3, -3])(
  'with a clock that is %i hours off, the session lasts as long as the server says',
  async (hours) => {
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
    expect(Math.round(left / 3_600_000)).toBe(8);
  },
);

test('a login server that is away stops no one who is logged in, and is named to who is not', async () => {
  const desk = await loggedIn(site);
  try {
    site.reachable = false;
    expect(await desk.kubectl(getNamespaces)).toEqual(done);
    expect(await desk.kubectl(getNamespaces)).toEqual(done);
    expect(await desk.sallyport(['whoami'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining(`${site.url}: can't reach the login server: `),
    });
    const out = await desk.sallyport(['logout']);
    expect([out.code, out.stderr]).toEqual([
      3,
      expect.stringMatching(
        /The session is kept here, since it might be valid until \d{4}-.*\n {2}fix: to end it, run this again/,
      ),
    ]);
  } finally {
    site.reachable = true;
  }
  const token = await tokenOf(desk);
  expect((await desk.sallyport(['logout'])).code).toBe(0);
  await untilRefused(site, token);
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
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
  const who = await desk.sallyport(['whoami']);
  expect([who.code, who.stderr]).toEqual([
    3,
    expect.stringMatching(
      /can't verify its certificate \(\w+\): .*\n {2}fix: .* run: kubectl sallyport init https:\S+ prod --ca-file FILE/,
    ),
  ]);
  // NODE_TLS_REJECT_UNAUTHORIZED is for those who do not mind who gets their password.
  const env = { NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_NO_WARNINGS: '1' };
  expect((await desk.sallyport(['whoami'], { env })).code).toBe(3);
  await desk.sallyport(['init', site.url, 'prod', '--ca-file', site.caFile]);
  expect((await desk.sallyport(['whoami'])).code).toBe(0);
});

test('kubectl goes on while the session Redis hangs, while the directory is down, and when gateways were restarted', async () => {
  const desk = await loggedIn(site);
  const { redis, people } = site.place;
  const whoami = async () => (await desk.sallyport(['whoami'])).stdout;
  // Until one is answered by what was known before, the last answer may be too young to be asked for again.
  const untilStale = async () => {
    const [{ output }] = site.gateways as [Gateway];
    const from = output.lines.length;
    await waitFor(async () => {
      expect(await desk.kubectl(getNamespaces)).toEqual(done);
      return output.lines
        .slice(from)
        .some(({ msg, cached }) => msg === 'token review' && cached === 'stale');
    }, 'a stale answer');
  };
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
  await redis.hang();
  await untilStale();
  await redis.start();
  expect(await whoami()).toContain('corp:alice');
  await people.slapd.stop();
  await untilStale();
  await people.slapd.start();
  await site.restart();
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
  expect(await whoami()).toContain('corp:alice');
});

test('kubectl waits for a login server that is busy, as it is told to', async () => {
  const { slapd, alice: first, bob } = site.place.people;
  const [gateway] = site.gateways;
  if (gateway === undefined) throw new Error('no gateway');
  const desk = await newDesk(site);
  const others = await newDesk(site);
  const value = async (series: string) => (await scrape(gateway)).value(series) ?? 0;
  const limited = () => value('sallyport_login_requests_total{action="login",outcome="limited"}');
  const limitedBefore = await limited();
  await slapd.hang();
  const before = logIn(others, first);
  await waitFor(
    async () => (await value('sallyport_in_flight_login_requests')) > 0,
    'a login in progress',
  );
  const login = logIn(desk, bob);
  await waitFor(async () => (await limited()) > limitedBefore, 'a login that has to wait');
  await slapd.start();
  await Promise.all([before, login]);
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
});

const sessionsOf = async (desk: Desk): Promise<readonly Record<string, unknown>[]> =>
  JSON.parse((await desk.sallyport(['sessions', '-o', 'json'])).stdout);

test('several kubectl of a CI job log in once', async () => {
  const desk = await newDesk(site);
  const { name, password } = site.place.people.bob;
  await writeFile(join(desk.home, 'password'), `${password}\n`);
  const device = 'ci job';
  const env = {
    SALLYPORT_PASSWORD_FILE: join(desk.home, 'password'),
    SALLYPORT_USERNAME: name,
    SALLYPORT_DEVICE: device,
  };
  const all = await Promise.all(
    Array.from({ length: 3 }, () => desk.kubectl(getNamespaces, { env })),
  );
  expect(all).toEqual(
    Array.from({ length: 3 }, () => ({
      ...done,
      stderr: expect.stringMatching(
        // It might not have written its process ID yet.
        /^(waiting for the login of another kubectl( \(process \d+\))?\n)?$/,
      ),
    })),
  );
  expect((await sessionsOf(desk)).filter((one) => one.device === device)).toHaveLength(1);
});

test('two accounts at one cluster are two contexts', async () => {
  const desk = await loggedIn(site);
  const { bob } = site.place.people;
  await desk.sallyport([
    'init',
    site.url,
    'prod',
    '--ca-file',
    site.caFile,
    '--username',
    bob.name,
  ]);
  const login = ['sallyport', 'login', '--password-stdin'];
  expect(await desk.kubectl(login, { input: bob.password })).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('corp:bob'),
  });
  const user = async (context: string) =>
    JSON.parse((await desk.sallyport(['whoami', '-o', 'json', '--context', context])).stdout).user;
  expect([await user('prod'), await user('prod-bob')]).toEqual(['corp:alice', 'corp:bob']);
  const refused = await desk.kubectl([...login, '--username', 'alice'], { input: 'x' });
  expect([refused.code, refused.stderr]).toEqual([
    2,
    expect.stringContaining('this context is for the account bob'),
  ]);
});

test('a login as another user ends the session before it', async () => {
  const desk = await loggedIn(site);
  const token = await tokenOf(desk);
  await logIn(desk, site.place.people.bob);
  await untilRefused(site, token);
  expect((await desk.sallyport(['whoami'])).stdout).toContain('corp:bob');
});

test('kubectl gets no token for another server than the login server names, unless its user allows it', async () => {
  const desk = await loggedIn(site);
  const tunnel = 'https://127.0.0.1:1';
  const get = () => desk.kubectl([...getNamespaces, '--server', tunnel]);
  const { code, stdout, stderr } = await get();
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(
    /this kubeconfig sends the token of cluster prod to https:\/\/127\.0\.0\.1:1, but the login server \S+ names https:\S+\n {2}fix: check who made this kubeconfig, .*, run: kubectl sallyport login --allow-server https:\/\/127\.0\.0\.1:1\n/,
  );
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
  await logIn(desk, site.place.people.alice, ['--allow-server', tunnel]);
  // kubectl has the token, and finds no one there.
  expect((await get()).stderr).toMatch(/connection to the server 127\.0\.0\.1:1 was refused/);
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
});

test('logout --all ends the sessions of all devices and clusters', async () => {
  const [desk, other] = [await loggedIn(site), await loggedIn(site)];
  const token = await tokenOf(other);
  await desk.sallyport(['init', site.url, 'staging', '--ca-file', site.caFile]);
  await logIn(desk, site.place.people.alice);
  const out = await desk.sallyport(['logout', '--all']);
  expect([out.code, out.stdout]).toEqual([
    0,
    expect.stringMatching(/^logged out corp:alice everywhere: \d+ sessions? ended\n$/),
  ]);
  const cached = await readdir(join(desk.home, '.cache/sallyport'));
  expect(cached.filter((name) => name.endsWith('.json'))).toEqual([]);
  await untilRefused(site, token);
  expect((await other.kubectl(getNamespaces)).code).toBe(1);
  const again = await other.sallyport(['logout', '--all']);
  expect([again.code, again.stderr]).toEqual([
    1,
    expect.stringContaining('only a session can end the others\n  fix: run: '),
  ]);
});

test('a logout that a failover of the session Redis can undo warns, and says what to run', async () => {
  const { redis } = site.place;
  await using replica = await startReplica(redis, {}, ({ port }) => port);
  await untilInSync(replica);
  const [desk, other] = [await loggedIn(site), await loggedIn(site)];
  await replica.hang();
  const warning =
    /warning: no replica of the server's Redis has confirmed this logout: .*\n {2}fix: .*run: kubectl sallyport logout --all/;
  expect(await desk.sallyport(['logout'])).toEqual({
    code: 0,
    stdout: 'logged out corp:alice of cluster prod\n',
    stderr: expect.stringMatching(warning),
  });
  expect(await other.sallyport(['logout', '--all'])).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(warning),
  });
});

test('init lists the clusters when there is a choice, and takes all of them if told to', async () => {
  const desk = await createDesk();
  const words = ['sallyport', 'init', site.url, '--ca-file', site.caFile];
  const choice = await desk.kubectl(words);
  expect([choice.code, choice.stderr]).toEqual([
    2,
    expect.stringMatching(
      /several clusters: prod, staging\n {2}fix: name one, or add all: .* init \S+ --all --ca-file \//,
    ),
  ]);
  expect(await desk.kubectl([...words, 'test'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no cluster test'),
  });
  expect((await desk.kubectl([...words, 'prod'])).stdout).toMatch(
    /^added context prod to .*config\n/,
  );
  expect((await desk.kubectl([...words, '--all'])).stdout).toMatch(
    /^updated context prod in .*config\n(?: {2}.*\n)+added context staging to .*config\n/,
  );
  const { stdout } = await desk.kubectl(['config', 'get-contexts', '-o', 'name']);
  expect(stdout).toBe('prod\nstaging\n');
  const unknown = await desk.sallyport(['init', site.url]);
  expect([unknown.code, unknown.stderr]).toEqual([
    3,
    expect.stringContaining('no CA that this machine trusts'),
  ]);
  const trusted = await desk.sallyport(['init', site.url, 'prod'], {
    env: { NODE_EXTRA_CA_CERTS: site.caFile },
  });
  expect(trusted).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('to log in: kubectl sallyport login\n'),
  });
});

test('a client that hands over nothing of the cluster works with --no-cluster-info', async () => {
  const desk = await createDesk();
  await desk.sallyport(['init', site.url, 'prod', '--ca-file', site.caFile, '--no-cluster-info']);
  await logIn(desk, site.place.people.alice);
  const kubeconfig = join(desk.home, '.kube/config');
  await writeFile(
    kubeconfig,
    (await readFile(kubeconfig, 'utf8'))
      .replace('provideClusterInfo: "true"', 'provideClusterInfo: false')
      .replace('provideClusterInfo: true', 'provideClusterInfo: false'),
  );
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
});

test('an answer of another server is none of a login server', async () => {
  const desk = await createDesk();
  const [gateway] = site.gateways;
  const result = await desk.sallyport(['init', String(gateway?.adminUrl)]);
  expect([result.code, result.stdout]).toEqual([2, '']);
  expect(result.stderr).toMatch(/: it answered 404.*\n {2}fix: check the URL and the cluster/);
  const withPath = await desk.sallyport(['init', `${gateway?.adminUrl}/login`]);
  expect(withPath.stderr).toMatch(/: it answered 404.*\n {2}fix: write the URL without its path/);
});

test('kubectl is refused when its user is disabled in the directory, and the user is told to log in', async () => {
  const user = await site.place.people.add('disabled');
  const desk = await newDesk(site);
  await logIn(desk, user);
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
  const token = await tokenOf(desk);
  const locked =
    'changetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n';
  await site.place.people.slapd.modify(`dn: ${user.dn}\n${locked}`);
  // A review costs less than kubectl, which is run when it must be refused.
  await untilRefused(site, token);
  const refused = await desk.kubectl(getNamespaces);
  expect([refused.code, refused.stdout]).toEqual([1, '']);
  expect(refused.stderr).toContain('fix: run: kubectl sallyport login\n');
});
