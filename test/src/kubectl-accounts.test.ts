import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { done, get, loggedIn, logIn, newDesk, tokenOf, untilRefused } from './testing/kubectl-user.ts';
import { createDesk, type Desk, type Site, startSite } from './testing/login-client.ts';
import { randomToken, secret } from './testing/tokens.ts';

let site: Site;
beforeAll(async () => {
  site = await startSite({
    login: { maxSessions: 100, revalidate: '1s', limits: { perAddress: '1000/m' } },
    entry: { cache: { staleTtl: '10m' } },
  });
});
afterAll(() => site[Symbol.asyncDispose]());

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
  const all = await Promise.all(Array.from({ length: 3 }, () => desk.kubectl(get, { env })));
  expect(all).toEqual(
    Array.from({ length: 3 }, () => ({
      ...done,
      stderr: expect.stringMatching(/^(waiting for the login of another kubectl\n)?$/),
    })),
  );
  expect((await sessionsOf(desk)).filter((one) => one.device === device)).toHaveLength(1);
});

test('a wrong password in a file is tried once, by one of several kubectl', async () => {
  const desk = await newDesk(site);
  await writeFile(join(desk.home, 'password'), secret('wrong-password'));
  const env = { SALLYPORT_PASSWORD_FILE: join(desk.home, 'password'), SALLYPORT_USERNAME: site.place.people.bob.name };
  const { code, stdout, stderr } = await desk.kubectl(get, { env });
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain('wrong name or password, or this user may not log in to cluster prod');
});

test('two accounts at one cluster are two contexts', async () => {
  const desk = await loggedIn(site);
  const { bob } = site.place.people;
  await desk.sallyport(['init', site.url, 'prod', '--ca-file', site.caFile, '--username', bob.name]);
  const login = ['sallyport', 'login', '--password-stdin'];
  expect(await desk.kubectl(login, { input: bob.password })).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('corp:bob'),
  });
  const user = async (context: string) =>
    JSON.parse((await desk.sallyport(['whoami', '-o', 'json', '--context', context])).stdout).user;
  expect([await user('prod'), await user('prod-bob')]).toEqual(['corp:alice', 'corp:bob']);
  const refused = await desk.kubectl([...login, '--username', 'alice'], { input: 'x' });
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('this context is for the account bob')]);
});

test('a login as another user ends the session before it', async () => {
  const desk = await loggedIn(site);
  const token = await tokenOf(desk);
  await logIn(desk, site.place.people.bob);
  await untilRefused(site, token);
  expect((await desk.sallyport(['whoami'])).stdout).toContain('corp:bob');
});

test('logout --all ends the sessions of all devices and clusters', async () => {
  const [desk, other] = [await loggedIn(site), await loggedIn(site)];
  const token = await tokenOf(other);
  await desk.sallyport(['init', site.url, 'staging', '--ca-file', site.caFile]);
  await logIn(desk, site.place.people.alice);
  const out = await desk.sallyport(['logout', '--all']);
  expect([out.code, out.stdout]).toEqual([
    0,
    expect.stringMatching(/^logged out corp:alice everywhere: \d+ sessions ended\n$/),
  ]);
  expect(await readdir(join(desk.home, '.cache/sallyport'))).toEqual([]);
  await untilRefused(site, token);
  expect((await other.kubectl(get)).code).toBe(1);
  const again = await other.sallyport(['logout', '--all']);
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
  const unknown = await desk.sallyport(['init', site.url]);
  expect([unknown.code, unknown.stderr]).toEqual([3, expect.stringContaining('no CA that this machine trusts')]);
  const trusted = await desk.sallyport(['init', site.url, 'prod'], {
    env: { NODE_EXTRA_CA_CERTS: site.caFile },
  });
  expect(trusted).toMatchObject({ code: 0, stdout: expect.stringContaining('to log in: kubectl sallyport login\n') });
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
  expect(await desk.kubectl(get)).toEqual(done);
});

test('an answer of another server is none of a login server', async () => {
  const desk = await createDesk();
  const [gateway] = site.place.replicas.gateways;
  const result = await desk.sallyport(['init', String(gateway?.adminUrl)]);
  expect([result.code, result.stdout]).toEqual([1, '']);
  expect(result.stderr).toMatch(/: it answered 404.*Check the URL and the cluster/);
});

/** A desk where someone is logged in, and works. */
async function deskOf(person: { readonly name: string; readonly password: string }): Promise<Desk> {
  const desk = await newDesk(site);
  await logIn(desk, person);
  expect(await desk.kubectl(get)).toEqual(done);
  return desk;
}

describe.concurrent('after a change in the directory, kubectl', () => {
  test.each<[what: string, ldif: (dn: string) => string]>([
    [
      'is disabled',
      (dn) => `dn: ${dn}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n`,
    ],
    [
      'has another password',
      (dn) => `dn: ${dn}\nchangetype: modify\nreplace: userPassword\nuserPassword: ${randomToken()}\n`,
    ],
  ])('is refused when its user %s, and the user is told to log in', async (what, ldif) => {
    const user = await site.place.people.add(what.replaceAll(' ', '-'));
    const desk = await deskOf(user);
    const second = Math.floor(Date.now() / 1000);
    await waitFor(() => Math.floor(Date.now() / 1000) > second, 'a later second, as directories count');
    const token = await tokenOf(desk);
    await site.place.people.slapd.modify(ldif(user.dn));
    // A review costs less than kubectl, which is run when it must be refused.
    await untilRefused(site, token);
    const refused = await desk.kubectl(get);
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toContain('Run: kubectl sallyport login\n');
  });

  test('has the groups of the directory, without another login', async () => {
    const { people } = site.place;
    const desk = await deskOf(await people.add('ada', 'k8s-ada'));
    const groups = async () => JSON.parse((await desk.sallyport(['whoami', '-o', 'json'])).stdout).groups;
    expect(await groups()).toEqual(['corp:k8s-ada']);
    const token = await tokenOf(desk);
    const group = `cn=k8s-ada,ou=groups,${people.slapd.suffix}`;
    await people.slapd.modify(`dn: ${group}\nchangetype: modify\nreplace: member\nmember: ${people.bob.dn}\n`);
    const isGone = async () => (await site.place.reviews(token)).every(({ user }) => user?.groups?.length === 0);
    await waitFor(isGone, 'the group to be gone');
    expect(await groups()).toEqual([]);
    expect(await desk.kubectl(get)).toEqual(done);
  });
});
