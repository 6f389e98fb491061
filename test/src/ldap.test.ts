import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { toReplacements } from '@sallyport/test-servers/ldif';
import { ldapToken, type People, startPeople } from '@sallyport/test-servers/people';
import { policies } from '@sallyport/test-servers/slapd-configuration';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, http1Client, review } from './testing/clients.ts';
import { runCommand } from './testing/command.ts';
import { temporaryFolder } from './testing/folder.ts';
import { configText, type Gateway, startGateway } from './testing/gateway.ts';
import type { LogLine } from './testing/output.ts';
import { scrape } from './testing/scrape.ts';

const isAlice = {
  authenticated: true,
  user: { username: 'corp:alice', groups: ['corp:k8s-admins'] },
};
const refused = { authenticated: false };
const unavailable = { authenticated: false, error: 'authenticator corp unavailable' };

const lockout = { maxFailures: 3 };

function startWith(people: People, ...more: readonly object[]): Promise<Gateway> {
  return startGateway({
    config: { lockout, authenticators: [people.authenticator(), ...more] },
    files: people.files,
  });
}

const resources = new AsyncDisposableStack();
let people: People;
let gateway: Gateway;
let client: Client;
beforeAll(async () => {
  people = resources.use(await startPeople());
  gateway = resources.use(await startWith(people));
  client = resources.use(http1Client(gateway.url));
});
afterAll(() => resources.disposeAsync());

describe('a gateway in front of a directory', () => {
  test('lets people in with their passwords, as their groups, and no one else', async () => {
    expect(await review(client, people.alice.token)).toEqual(isAlice);
    expect(await review(client, people.bob.token)).toEqual({
      authenticated: true,
      user: { username: 'corp:bob', groups: [] },
    });
    expect(await review(client, ldapToken('alice', people.bob.password))).toEqual(refused);
    expect(await review(client, ldapToken('nobody', randomToken()))).toEqual(refused);
    expect(await review(client, ldapToken('*', people.alice.password))).toEqual(refused);
  });

  test('a locked account is told so at each attempt, and its right password gets in once the directory has unlocked it', async () => {
    const { dn, token } = await people.add('carol');
    const lock = (time: string | readonly string[]) =>
      people.slapd.modify(
        toReplacements([
          { dn, attributes: { pwdPolicySubentry: policies.lockout, pwdAccountLockedTime: time } },
        ]),
      );
    await lock('000001010000Z');
    const attempts = lockout.maxFailures + 2;
    for (let time = 0; time < attempts; time++)
      expect(await review(client, token)).toEqual(refused);
    const locked = Array.from({ length: attempts }, () =>
      expect.objectContaining({ authenticator: 'corp', reason: 'locked' }),
    );
    const logged = () => gateway.output.lines.filter(({ subject }) => subject === 'carol');
    await waitFor(() => logged().length === attempts, 'a line for each attempt');
    expect(logged()).toEqual(locked);
    const asked = await runCommand(
      ['explain', '-o', 'json', '--config', 'gateway.yaml'],
      { cwd: gateway.folder },
      token,
    );
    expect(JSON.parse(asked.stdout).authenticators).toMatchObject([
      { answer: 'rejected', reason: 'locked' },
    ]);
    const status = await (await fetch(`${gateway.adminUrl}/status.json`)).json();
    expect(
      status.recent.filter(({ username }: { username?: string }) => username === 'carol'),
    ).toEqual(locked);
    await lock([]);
    expect(await review(client, token)).toMatchObject({ user: { username: 'corp:carol' } });
  });

  test('says that it could not check while the directory is down, lets others in, and recovers by itself', async () => {
    const robot = randomToken();
    const files = { ...people.files, 'tokens.yaml': tokensFile({ [robot]: 'ci' }) };
    const corp = people.authenticator({
      options: { serverTimeout: '300ms', serverCircuit: { probeInterval: '200ms' } },
      entry: { circuit: { openFor: '200ms' } },
    });
    await using gateway = await startGateway({
      config: { authenticators: [corp, staticAuthenticator] },
      files,
    });
    using client = http1Client(gateway.url);
    const isAliceIn = async () => (await review(client, people.alice.token)).authenticated;
    await waitFor(isAliceIn, 'alice to be let in');
    for (const end of ['stop', 'hang'] as const) {
      await people.slapd[end]();
      for (let login = 0; login < 10; login++)
        expect(await review(client, people.alice.token)).toEqual(unavailable);
      expect(await review(client, robot)).toHaveProperty('user.username', 'ci');
      await people.slapd.start();
      await waitFor(isAliceIn, `alice to be let in after ${end}`);
    }
  });

  test('takes in a new CA file, and keeps the old one when the new one is none', async () => {
    await using gateway = await startWith(people);
    using client = http1Client(gateway.url);
    expect(await review(client, people.alice.token)).toEqual(isAlice);
    await gateway.write('tls/ldap-ca.crt', 'this is no certificate');
    gateway.signal('SIGHUP');
    const complaint = (line: object): boolean => JSON.stringify(line).includes('ldap-ca.crt');
    await gateway.output.waitForLine(complaint, 'a complaint about the CA file');
    expect(await review(client, people.alice.token)).toEqual(isAlice);
    const foreign = await createAuthority('foreign');
    await gateway.write('tls/ldap-ca.crt', await readFile(foreign.certificateFile, 'utf8'));
    gateway.signal('SIGHUP');
    await waitFor(
      async () => 'error' in (await review(client, people.bob.token)),
      'the new CA to be in force',
    );
  });
});

const run = promisify(execFile);

/** Limits the files and sockets that the process may open. */
async function limitFiles(pid: number, count: number): Promise<void> {
  await run('prlimit', ['--pid', String(pid), `--nofile=${count}:`]);
}

test('a gateway without a file descriptor left blames itself and no directory server, at an address or a name', async () => {
  const { ldapsUrl } = people.slapd;
  const urls = { corp: ldapsUrl, named: ldapsUrl.replace('127.0.0.1', 'localhost') };
  // A kept connection needs no file descriptor.
  const authenticators = Object.entries(urls).map(([name, url]) =>
    people.authenticator({
      options: { urls: [url], reuseUserConnections: false },
      entry: { name, username: { prefix: `${name}:` } },
    }),
  );
  await using gateway = await startGateway({ config: { authenticators }, files: people.files });
  using client = http1Client(gateway.url);
  expect((await review(client, people.alice.token)).user?.username).toBe('corp:alice');
  await limitFiles(gateway.pid, 3);
  for (let login = 0; login < 10; login++) {
    expect(await review(client, people.bob.token)).toEqual({
      authenticated: false,
      error: 'authenticators corp, named unavailable',
    });
  }
  await limitFiles(gateway.pid, 1024);
  // No circuit has to close first.
  expect((await review(client, people.bob.token)).user?.username).toBe('corp:bob');
  const { value } = await scrape(gateway);
  for (const [name, url] of Object.entries(urls)) {
    expect(value(`sallyport_authenticator_circuit_state{authenticator="${name}"}`)).toBe(0);
    expect(
      value(`sallyport_plugin_ldap_server_circuit_state{authenticator="${name}",server="${url}"}`),
    ).toBe(0);
    const isShortage = ({ authenticator, reason }: LogLine) =>
      authenticator === name &&
      /this machine is short of file descriptors: raise .*\(EMFILE\)/.test(String(reason));
    expect(gateway.output.lines.filter(isShortage)).not.toEqual([]);
  }
});

describe('sallyport check', () => {
  const problems: readonly (readonly [string, (people: People) => object, RegExp])[] = [
    [
      'wrong-password',
      ({ slapd }) => ({ bind: { dn: slapd.service.dn, password: { file: 'wrong' } } }),
      /bind\.password/,
    ],
    ['wrong-ca', () => ({ caFile: 'foreign.crt' }), /caFile/],
    [
      'no-user-base',
      () => ({ user: { base: 'ou=nowhere,dc=example,dc=com', filter: '(uid={username})' } }),
      /user\.base "ou=nowhere/,
    ],
    [
      'no-group-base',
      () => ({ groups: { base: 'ou=nowhere,dc=example,dc=com', filter: '(member={dn})' } }),
      /groups\.base "ou=nowhere/,
    ],
    [
      'no-server',
      () => ({ urls: ['ldaps://127.0.0.1:1'] }),
      /ldaps:\/\/127\.0\.0\.1:1\b.*refused/s,
    ],
  ];

  async function check(authenticators: readonly object[]) {
    const folder = await temporaryFolder('check');
    const foreign = await createAuthority('foreign');
    await temporaryFiles(folder, {
      ...people.files,
      wrong: randomToken(),
      'foreign.crt': await readFile(foreign.certificateFile, 'utf8'),
      'gateway.yaml': configText({ authenticators }),
    });
    const { code, stdout } = await runCommand(['check', '--config', 'gateway.yaml', '-o', 'json'], {
      cwd: folder,
    });
    const findings: { check: string; result: string; detail: string }[] =
      JSON.parse(stdout).findings;
    return {
      code,
      of: (name: string) => findings.find((finding) => finding.check === `authenticator ${name}`),
    };
  }

  test('finds each of several authenticators with something wrong', async () => {
    const authenticators = problems.map(([name, options]) => {
      const prefix = { prefix: `${name}:` };
      return people.authenticator({
        options: options(people),
        entry: { name, username: prefix, groups: prefix },
      });
    });
    const { code, of } = await check([people.authenticator(), ...authenticators]);
    expect(code).toBe(1);
    expect(of('corp')?.result).toBe('ok');
    for (const [index, [name, , detail]] of problems.entries()) {
      expect(of(name), name).toMatchObject({
        result: 'error',
        detail: expect.stringMatching(detail),
        problem: { path: `authenticators[${index + 1}]`, line: expect.any(Number) },
      });
    }
  });

  test('only warns of a server that is down while logins go on at another one', async () => {
    const urls = [people.slapd.ldapsUrl, 'ldaps://127.0.0.1:1'];
    const { code, of } = await check([people.authenticator({ options: { urls } })]);
    expect(code).toBe(0);
    expect(of('corp')).toEqual({
      check: 'authenticator corp',
      result: 'warning',
      name: 'backend',
      detail: expect.stringMatching(
        /its backend works, but: 1 of 2 LDAP servers do not work:\n {2}ldaps:\/\/127\.0\.0\.1:1: .*refused/,
      ),
    });
  });
});

async function temporaryFiles(
  folder: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content, { mode: 0o600 });
  }
}
