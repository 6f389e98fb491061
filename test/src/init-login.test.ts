import { randomBytes } from 'node:crypto';
import { copyFile, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type People, startPeople } from '@sallyport/test-servers/people';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { newToken } from '@sallyport/test-servers/redis-tokens';
import { secret } from '@sallyport/test-servers/tokens';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { askLogin } from './testing/ask-login.ts';
import { http1Client, http2Client, review } from './testing/clients.ts';
import { runCommand } from './testing/command.ts';
import { commandsIn } from './testing/documents.ts';
import { temporaryFolder } from './testing/folder.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { loginUrlOf } from './testing/login-gateway.ts';
import { createPageShell } from './testing/page-shell.ts';
import { rootFolder } from './testing/pnpm.ts';
import { anyPort } from './testing/private-gateway.ts';
import { operatorIn } from './testing/redis-commands.ts';

let people: People;
let redis: RedisServer;
let folder: string;
/** The output of `init`. From here on, no output may contain its passwords and keys. */
let printed: string;

beforeAll(async () => {
  [people, redis] = await Promise.all([startPeople(), startRedis({ password: true })]);
  const parent = await temporaryFolder('init-login');
  folder = join(parent, 'made');
  const line = (await commandsIn('docs/login.md', 'sallyport init'))
    .replace('/etc/sallyport', folder)
    .replace('sallyport.example.com', '127.0.0.1')
    .replace('rediss://redis.example.com:6379', `${redis.tlsUrl} --redis-ca ${redis.caFile}`);
  const made = await runCommand(line.split(' ').slice(1), { cwd: parent });
  expect([made.code, made.stderr]).toEqual([0, '']);
  printed = made.stdout;
  secret(/"token":"([^"]+)"/.exec(printed)?.[1] ?? '');
  for (const name of ['secrets/redis-password', 'secrets/sealing-key']) {
    expect(printed).not.toContain(secret((await read(name)).trim()));
  }
});
afterAll(async () => {
  await redis?.[Symbol.asyncDispose]();
  await people?.[Symbol.asyncDispose]();
});

const read = (name: string) => readFile(join(folder, name), 'utf8');

interface Finding {
  readonly check: string;
  readonly result: string;
  readonly detail: string;
  readonly name?: string;
}

/** Lists the names of warnings. Other processes of this machine may listen on the ports of the config. */
async function listWarnings(): Promise<string[]> {
  const findings = await listFindings();
  return findings.flatMap(({ name }) => (name === undefined || name === 'in-use' ? [] : [name]));
}

async function errors(): Promise<string[]> {
  const findings = await listFindings();
  return findings.filter(({ result }) => result === 'error').map(({ check }) => check);
}

async function listFindings(): Promise<readonly Finding[]> {
  const { stdout } = await runCommand(['check', '--config', 'gateway.yaml', '-o', 'json'], {
    cwd: folder,
  });
  return JSON.parse(stdout).findings;
}

/** Adds the user by the printed command, and requires that it is the user of the printed line of an ACL file. */
async function addPrintedUser(): Promise<void> {
  const [setUser = ''] = /(?<=^ {2})redis-cli .* ACL SETUSER .*$/m.exec(printed) ?? [];
  const { run } = await createPageShell(undefined, { REDISCLI_AUTH: redis.password ?? '' });
  expect(await run(setUser)).toBe('OK\n');
  const [, line = ''] = /^ {2}(user sallyport on .*)$/m.exec(printed) ?? [];
  const users = async () => redis.client().call('ACL', 'LIST');
  const before = await users();
  await redis.client().call('ACL', 'SETUSER', ...line.split(' ').slice(1));
  expect(await users()).toEqual(before);
  await redis.client().call('ACL', 'LOG', 'RESET');
}

/** Allows more time than any answer takes: a busy machine is not an outage. */
async function allowTime(): Promise<void> {
  const config = parseDocument(await read('gateway.yaml'));
  const times = { robots: 'commandTimeout', sessions: 'commandTimeout', corp: 'serverTimeout' };
  const entries: { name: string }[] = config.toJS().authenticators;
  for (const [name, key] of Object.entries(times)) {
    const path = ['authenticators', entries.findIndex((entry) => entry.name === name)];
    config.setIn([...path, 'timeout'], '9s');
    config.setIn([...path, 'options', key], '8s');
  }
  config.setIn(['cache', 'redis', 'timeout'], '2s');
  await writeFile(join(folder, 'gateway.yaml'), String(config));
}

/** Fills in what the printed steps leave to the user: the directory, and the clusters. */
async function fillIn(): Promise<void> {
  let text = await read('gateway.yaml');
  const replace = (there: string, here: string) => {
    expect([there, text.includes(there)]).toEqual([there, true]);
    text = text.replaceAll(there, here);
  };
  replace('ldaps://ldap.example.com', people.slapd.ldapsUrl);
  replace('# caFile: tls/ldap-ca.crt #', 'caFile: tls/ldap-ca.crt #');
  replace('cn=sallyport,ou=services,dc=example,dc=com', people.slapd.service.dn);
  replace('ou=people,dc=example,dc=com', `ou=people,${people.slapd.suffix}`);
  replace('ou=groups,dc=example,dc=com', `ou=groups,${people.slapd.suffix}`);
  // Other processes of this machine may use its port.
  replace('0.0.0.0:8444', '127.0.0.1:0');
  await writeFile(join(folder, 'gateway.yaml'), text);
  await writeFile(join(folder, 'tls/ldap-ca.crt'), people.files['tls/ldap-ca.crt'] ?? '');
  await writeFile(
    join(folder, 'secrets/ldap-password'),
    people.files['secrets/ldap-password'] ?? '',
  );
}

/** Logs in by the line of the page, with a CA that `init` made for people. @returns the token of the session */
async function logIn(gateway: Gateway): Promise<string> {
  const { alice } = people;
  const { port } = new URL(loginUrlOf(gateway));
  const line = (await commandsIn('docs/login-api.md', 'curl'))
    .replace('curl', `curl -sS --connect-to ::127.0.0.1:${port}`)
    .replace('"jane"', JSON.stringify(alice.name))
    .replace('"…"', JSON.stringify(alice.password));
  const { run } = await createPageShell(join(folder, 'tls'));
  return secret(JSON.parse(await run(line)).token);
}

test('what it makes is a gateway with logins and robots, once Redis has its user and the directory is filled in', async () => {
  await addPrintedUser();
  await allowTime();
  expect(await errors()).toEqual(['config']);
  await fillIn();
  expect(await errors()).toEqual([]);
  await using gateway = await startGateway({
    commandArguments: ['--config', join(folder, 'gateway.yaml'), ...anyPort],
  });
  // The Redis is new.
  const [, begins = ''] = /^ {2}\S.* sallyport (revoke --all .*)$/m.exec(printed) ?? [];
  const begin = await runCommand(begins.split(' '), { cwd: folder });
  expect(begin).toMatchObject({ code: 0 });
  // The names of the login server and of the API server are of an example.
  expect(await listWarnings()).toEqual(['example-names']);
  const [authority, certificate, key] = await Promise.all(
    ['ca.crt', 'client.crt', 'client.key'].map((name) => read(join('kube-apiserver', name))),
  );
  using client = http2Client(gateway.url, {
    authority: authority ?? '',
    certificate: certificate ?? '',
    key: key ?? '',
  });
  // An API server that has only the printed flags asks for its --service-account-issuer, which kubeadm, k3s and RKE2 set to this.
  expect(printed.match(/^ {2}--.*/gm)?.join('\n')).not.toContain('api-audiences');
  const audiences = ['https://kubernetes.default.svc.cluster.local'];
  const ask = async (token: string) =>
    (await review(client, token, 'v1', audiences)).user?.username;

  const user = await createPageShell(undefined, { REDISCLI_AUTH: redis.password ?? '' });
  const typed = `${people.alice.name}\n${people.alice.password}\n`;
  expect(
    await ask(
      await user.run(await commandsIn('packages/authenticator-ldap/README.md', 'read -r'), typed),
    ),
  ).toBe('corp:alice');
  const session = await logIn(gateway);
  expect(await ask(session)).toBe('corp:alice');
  const operator = operatorIn(folder);
  const robot = await operator.create('--user', 'ci');
  expect((await review(client, robot)).user?.username).toBe('robot:ci');

  // This record is written by another system, as the page says.
  const foreign = newToken();
  const write = await commandsIn('packages/authenticator-redis/README.md', 'digest=');
  await user.run(
    `TOKEN=$(cat)\n${write.replace('redis-cli', `redis-cli -s ${redis.socket}`)}`,
    foreign,
  );
  expect((await review(client, foreign)).user).toEqual({
    username: 'robot:ci',
    groups: ['robot:deployers'],
  });

  // The commands of the page of tokens, and each of these, with the rights of the printed line, and no others.
  const commands = await commandsIn('packages/authenticator-redis/README.md', 'sallyport check');
  for (const line of commands.split('\n')) {
    const { code, stdout } = await operator.run(
      line
        .replace(/ *#.*$/, '')
        .split(' ')
        .slice(1),
    );
    expect([line, code]).toEqual([line, 0]);
    if (line.includes('create')) secret(stdout.trim());
  }
  await symlink(folder, join(user.root, 'etc/sallyport'));
  for (const region of ['eu', 'us'])
    await copyFile(join(folder, 'gateway.yaml'), join(folder, `${region}.yaml`));
  const blocked = await user.run(await commandsIn('docs/install/regions.md', 'for region'));
  expect(blocked.match(/confirmed by 1 of 1 replica/g)).toHaveLength(2);
  for (const name of ['robots', 'sessions'])
    await operator.json('token', 'list', '--authenticator', name);
  for (const words of [
    ['block', '--user', 'corp:alice', '--for', '1h'],
    ['unblock', '--user', 'corp:alice'],
    ['blocks'],
    ['lockouts'],
    ['explain', '--user', 'corp:alice'],
    ['revoke', '--user', 'corp:alice'],
  ]) {
    const { code, stderr } = await operator.run(words);
    expect([words, code, stderr]).toEqual([words, 0, expect.not.stringContaining('may not')]);
  }
  expect([await ask(session), await ask(robot)]).toEqual([undefined, undefined]);
  expect(await redis.client().call('ACL', 'LOG')).toEqual([]);

  // The running gateway can't write its keys again.
  await redis.client().set('other:key', '');
  const clean = await commandsIn('docs/install/uninstall.md', 'redis-cli ACL DELUSER');
  await user.run(clean.replaceAll('redis-cli', `redis-cli -s ${redis.socket}`));
  expect(await redis.client().keys('*')).toEqual(['other:key']);
});

test('examples/login logs people in without a directory, and refuses a wrong password', async () => {
  const line = await commandsIn('docs/login.md', '(umask 077');
  const example = join(rootFolder, dirname(/--config (\S+)/.exec(line)?.[1] ?? ''));
  await using own = await startRedis();
  const place = await temporaryFolder('login-example');
  await copyFile(join(example, 'people.mjs'), join(place, 'people.mjs'));
  const config = (await readFile(join(example, 'gateway.yaml'), 'utf8'))
    .replaceAll('redis://127.0.0.1:6379', own.url)
    .replace('listen: 127.0.0.1:8444', 'listen: 127.0.0.1:0');
  await writeFile(join(place, 'gateway.yaml'), config);
  await writeFile(join(place, 'sealing-key'), secret(randomBytes(32).toString('base64')), {
    mode: 0o600,
  });
  await using gateway = await startGateway({
    commandArguments: ['--config', join(place, 'gateway.yaml'), ...anyPort],
  });
  const attempt = (password: string) =>
    askLogin(loginUrlOf(gateway), {
      body: { username: 'jane', password },
      headers: { host: 'localhost:8444' },
    });
  const { status, json } = await attempt('open-sesame');
  expect([status, json?.user]).toEqual([
    201,
    { username: 'people:jane', uid: '1', groups: ['people:k8s-admins'] },
  ]);
  const token = secret(String(json?.token));
  const who = await askLogin(loginUrlOf(gateway), {
    ...{ method: 'GET', path: '/v1/session', token },
    headers: { host: 'localhost:8444' },
  });
  expect(who.status).toBe(200);
  expect((await attempt('wrong')).status).toBe(401);
  const words = ['factor', 'invite', '--user', 'people:jane', '-o', 'json'];
  const invited = await runCommand([...words, '--config', 'gateway.yaml'], { cwd: place });
  expect([invited.code, invited.stderr]).toEqual([0, '']);
  const { code, url } = JSON.parse(invited.stdout) as Readonly<Record<'code' | 'url', string>>;
  secret(code);
  expect(url).toMatch(/^http:\/\/localhost:8444\/login\/factors\/\w{16}$/);
  const challenge = randomBytes(32).toString('base64url');
  const begun = await askLogin(loginUrlOf(gateway), {
    ...{ path: '/v1/logins', body: { challenge } },
    headers: { host: 'localhost:8444' },
  });
  expect([begun.status, begun.json?.url]).toEqual([
    201,
    expect.stringMatching(/^http:\/\/localhost:8444\/login\//),
  ]);

  using client = http1Client(gateway.url);
  const content = Buffer.from('["jane","open-sesame"]').toString('base64url');
  // A password that reviews accept as a token would go around the second factor.
  const answer = await review(client, secret(`people_${content}`));
  expect(answer).toEqual({ authenticated: false });
});
