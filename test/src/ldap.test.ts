import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from './testing/certificates.ts';
import { type Client, http1Client, review } from './testing/clients.ts';
import { runCommand } from './testing/command.ts';
import { temporaryFolder } from './testing/folder.ts';
import { configText, type Gateway, startGateway } from './testing/gateway.ts';
import { ldapToken, type People, startPeople } from './testing/ldap-gateway.ts';
import { metricsText } from './testing/scrape.ts';
import { staticAuthenticator, tokensFile } from './testing/static-tokens.ts';
import { randomToken, secret } from './testing/tokens.ts';

const isAlice = { authenticated: true, user: { username: 'corp:alice', groups: ['corp:k8s-admins'] } };
const refused = { authenticated: false };
const unavailable = { authenticated: false, error: 'authenticator corp unavailable' };

function startWith(people: People, ...more: readonly object[]): Promise<Gateway> {
  return startGateway({ config: { authenticators: [people.authenticator(), ...more] }, files: people.files });
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

  test('asks the directory nothing about tokens that hold no name and password', async () => {
    const before = await people.slapd.operations();
    for (const token of [randomToken(), secret(Buffer.from('alice:').toString('base64')), 'a.b.c']) {
      expect(await review(client, token)).toEqual(refused);
    }
    expect(await people.slapd.operations()).toEqual(before);
  });

  test('says that it could not check while the directory is down, lets others in, and recovers by itself', async () => {
    await using people = await startPeople();
    const robot = randomToken();
    const files = { ...people.files, 'tokens.yaml': tokensFile({ [robot]: 'ci' }) };
    const corp = people.authenticator({
      options: { serverTimeout: '300ms', serverCircuit: { probeInterval: '200ms' } },
      entry: { circuit: { openFor: '200ms' } },
    });
    await using gateway = await startGateway({ config: { authenticators: [corp, staticAuthenticator] }, files });
    using client = http1Client(gateway.url);
    expect(await review(client, people.alice.token)).toEqual(isAlice);
    for (const end of ['stop', 'hang'] as const) {
      await people.slapd[end]();
      for (let login = 0; login < 10; login++) expect(await review(client, people.alice.token)).toEqual(unavailable);
      expect(await review(client, robot)).toHaveProperty('user.username', 'ci');
      await people.slapd.start();
      await waitFor(
        async () => (await review(client, people.alice.token)).authenticated,
        `alice to be let in after ${end}`,
      );
    }
    // The answers during the outage were cached nowhere and locked no user.
    expect(await review(client, people.alice.token)).toEqual(isAlice);
  });

  test('sends three wrong passwords of one user and no more, while the right one still passes', async () => {
    const { dn, token } = await people.add('carol');
    const isCarol = { authenticated: true, user: { username: 'corp:carol', groups: [] } };
    expect(await review(client, token)).toEqual(isCarol);
    // Other spellings are the same person: the directory finds names in any case.
    for (const name of ['carol', 'CAROL', 'Carol', 'cAROL', 'carol', 'CAROl']) {
      expect(await review(client, ldapToken(name, randomToken()))).toEqual(refused);
    }
    expect((await people.slapd.operations()).bindsByDn.get(dn)).toBe(1 + 3);
    expect(await review(client, token)).toEqual(isCarol);
  });

  test('takes in a new CA file, and keeps the old one when the new one is none', async () => {
    await using people = await startPeople();
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
    await waitFor(async () => 'error' in (await review(client, people.bob.token)), 'the new CA to be in force');
  });

  test('shows its connections and binds on /metrics, and no one by name', async () => {
    await review(client, people.alice.token);
    // A name of its own: the wrong passwords of a test must not lock the user of another.
    await people.add('dave');
    await review(client, ldapToken('dave', randomToken()));
    const metrics = await metricsText(gateway);
    const server = `server="${people.slapd.ldapsUrl}"`;
    for (const [name, labels] of [
      ['binds_total', `use="user",result="success"`],
      ['binds_total', `use="user",result="invalidCredentials"`],
      ['binds_total', `use="service",result="success"`],
      ['connections', 'state="idle"'],
    ] as const) {
      const lines = metrics.split('\n').filter((line) => line.startsWith(`sallyport_plugin_ldap_${name}{`));
      const found = lines.find((line) =>
        [server, 'authenticator="corp"', ...labels.split(',')].every((label) => line.includes(label)),
      );
      expect(found, `${name} with ${labels}`).toMatch(/ [1-9]\d*$/);
    }
    expect(metrics).not.toMatch(/alice|bob|carol|dave/);
  });
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
      ({ slapd }) => ({ urls: [slapd.ldapsUrl, 'ldaps://127.0.0.1:1'] }),
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
    const { code, stdout } = await runCommand(['check', '--config', 'gateway.yaml', '-o', 'json'], { cwd: folder });
    const findings: { check: string; result: string; detail: string }[] = JSON.parse(stdout).findings;
    return { code, of: (name: string) => findings.find((finding) => finding.check === `authenticator ${name}`) };
  }

  test('finds nothing wrong', async () => {
    const { code, of } = await check([people.authenticator()]);
    expect([code, of('corp')]).toEqual([0, expect.objectContaining({ result: 'ok' })]);
  });

  test('finds each of several authenticators with something wrong', async () => {
    const authenticators = problems.map(([name, options]) => {
      const prefix = { prefix: `${name}:` };
      return people.authenticator({ options: options(people), entry: { name, username: prefix, groups: prefix } });
    });
    const { code, of } = await check(authenticators);
    expect(code).toBe(1);
    for (const [name, , detail] of problems) {
      expect(of(name), name).toMatchObject({ result: 'fault', detail: expect.stringMatching(detail) });
    }
  });
});

async function temporaryFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content, { mode: 0o600 });
  }
}
