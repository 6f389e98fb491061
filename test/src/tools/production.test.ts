import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { longTimeouts, startPeople } from '@sallyport/test-servers/people';
import { startRedis } from '@sallyport/test-servers/redis';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import { readTrail } from '../testing/audit-trail.ts';
import { http1Client, http2Client, review } from '../testing/clients.ts';
import { codeFolder, gatewayFolder, runCommand } from '../testing/command.ts';
import { temporaryFolder } from '../testing/folder.ts';
import { startGateway } from '../testing/gateway.ts';
import { rootFolder } from '../testing/pnpm.ts';
import { operatorIn } from '../testing/redis-commands.ts';
import { documentedLines } from '../testing/redis-lines.ts';
import { runLine } from '../testing/shell.ts';
import { installUnit } from './unit.ts';

/** Puts the addresses of this test into the shipped file. Each is there as often as it says. */
async function shipped(
  places: Readonly<Record<string, readonly [times: number, here: string]>>,
): Promise<string> {
  let text = await readFile(join(rootFolder, 'examples', 'production.yaml'), 'utf8');
  for (const [there, [times, here]] of Object.entries(places)) {
    expect([there, text.split(there).length - 1]).toEqual([there, times]);
    text = text.replaceAll(there, here);
  }
  return text;
}

/** Runs the command with which the example says to make tokens.yaml. */
async function makeTokensFile(config: string): Promise<{ emergency: string; tokensFile: string }> {
  const [, command = ''] = /^# +tokens\.yaml +(.*)$/m.exec(config) ?? [];
  const folder = await temporaryFolder('tokens');
  const sallyport = [process.execPath, join(gatewayFolder, codeFolder, 'sallyport.js')].map(
    (word) => `'${word}'`,
  );
  const line = `sallyport() { ${sallyport.join(' ')} "$@"; }; ${command}`;
  const shown = await runLine(line, { cwd: folder, env: { PATH: process.env.PATH ?? '' } });
  const [, emergency = ''] = /shown only once: (\S+)\n/.exec(shown) ?? [];
  return {
    emergency: secret(emergency),
    tokensFile: await readFile(join(folder, 'tokens.yaml'), 'utf8'),
  };
}

/** Runs the `init` of the example. @returns how to read what it made, but for gateway.yaml, which the example takes the place of */
async function makeFiles(
  config: string,
  caFile: string,
): Promise<(name: string) => Promise<string>> {
  const [, command = ''] = /^# +sallyport (init .*)$/m.exec(config) ?? [];
  const folder = await temporaryFolder('init');
  const words = command
    .replace('/etc/sallyport', join(folder, 'made'))
    .replace('sallyport.example.com', '127.0.0.1')
    .replace('redis-ca redis-ca.crt', `redis-ca ${caFile}`);
  const { code, stdout } = await runCommand(words.split(' '), { cwd: folder });
  expect(code).toBe(0);
  secret(/"token":"([^"]+)"/.exec(stdout)?.[1] ?? '');
  return (name) => readFile(join(folder, 'made', name), 'utf8');
}

test('the whole example checks green, starts as the unit starts it, and answers for each of its authenticators', async () => {
  const people = await startPeople();
  await using _ = people;
  await using redis = await startRedis({ password: true });
  const made = await makeFiles(await shipped({}), redis.caFile);
  const password = secret((await made('secrets/redis-password')).trim());
  const [rights = ''] = await documentedLines('One user for everything');
  const [, ...rule] = rights.replace('>PASSWORD', `>${password}`).split(' ');
  await redis.client().call('ACL', 'SETUSER', ...rule);
  const config = await shipped({
    '0.0.0.0:8443': [1, '127.0.0.1:0'],
    '127.0.0.1:8081': [1, '127.0.0.1:0'],
    '    url: rediss://redis.example.com:6379': [2, `    url: ${redis.tlsUrl}`],
    'ldaps://ldap-a.example.com': [1, people.slapd.ldapsUrl],
    'ldaps://ldap-b.example.com': [1, people.slapd.ldapsUrl.replace('127.0.0.1', 'localhost')],
    'cn=sallyport,ou=services,dc=example,dc=com': [1, people.slapd.service.dn],
    'use: ldap\n': [1, `use: ldap\n    timeout: ${longTimeouts.timeout}\n`],
    'caFile: tls/ldap-ca.crt\n': [
      1,
      `caFile: tls/ldap-ca.crt\n      serverTimeout: ${longTimeouts.options.serverTimeout}\n`,
    ],
  });
  const { emergency, tokensFile } = await makeTokensFile(config);
  const names = ['tls/server.crt', 'tls/server.key', 'tls/ca.crt', 'tls/redis-ca.crt'];
  const secrets = ['secrets/redis-password', 'secrets/sealing-key'];
  secret((await made('secrets/sealing-key')).trim());
  const files = await Promise.all(
    [...names, ...secrets].map(async (name) => [name, await made(name)] as const),
  );
  const unit = await installUnit({
    'gateway.yaml': config,
    ...Object.fromEntries(files),
    'tls/ldap-ca.crt': people.files['tls/ldap-ca.crt'] ?? '',
    'secrets/ldap-password': people.files['secrets/ldap-password'] ?? '',
    'tokens.yaml': tokensFile,
  });
  const client = {
    authority: await made('kube-apiserver/ca.crt'),
    certificate: await made('kube-apiserver/client.crt'),
    key: await made('kube-apiserver/client.key'),
  };
  const file = '/etc/sallyport/gateway.yaml';
  const check = (account?: 'root') =>
    runCommand(['check'], { cwd: unit.logs, through: unit.through(account) });
  expect(await check()).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(
      /^[^[]* \[example-names\]\n[^[]* \[revocation-list\]\n[^[]*\n0 errors, 2 warnings\n$/,
    ),
    stderr: `sallyport: using config ${file}\n`,
  });
  expect((await check('root')).stderr).toMatch(
    /\nsallyport: .* as root, .* for the group sallyport\n +fix: .* run runuser -u sallyport -- .*sallyport\.js check\n$/,
  );
  const started = {
    folder: unit.logs,
    through: unit.through(),
    commandArguments: ['--config', file],
    addsFlags: true,
  };
  await using gateway = await startGateway(started);
  expect(await readFile(`/proc/${gateway.pid}/cmdline`, 'utf8')).toContain(
    '--max-semi-space-size=8',
  );
  const operator = operatorIn(unit.folder, {});
  expect(await operator.run(['revoke', '--all'])).toMatchObject({ code: 0 });
  expect((await check()).stdout).toMatch(/^[^[]* \[example-names\]\n[^[]*\n0 errors, 1 warning\n$/);

  const robot = await operator.create('--user', 'ci', '--group', 'builders');
  using http1 = http1Client(gateway.url, client);
  using http2 = http2Client(gateway.url, client);
  const stamped = (authenticator: string) => ({
    'sallyport.example.com/authenticator': [authenticator],
    'sallyport.example.com/credential': [expect.stringMatching(/^[\w-]{22}$/)],
  });
  for (const one of [http1, http2]) {
    expect((await review(one, emergency)).user).toEqual({
      username: 'break-glass:ops',
      groups: ['system:masters'],
      extra: stamped('break-glass'),
    });
    expect((await review(one, robot)).user).toEqual({
      username: 'robot:ci',
      groups: ['robot:builders'],
      extra: stamped('robots'),
    });
    expect((await review(one, people.alice.token)).user).toEqual({
      username: 'corp:alice',
      uid: expect.stringMatching(/^[0-9a-f]{8}-/),
      groups: ['corp:k8s-admins'],
      extra: stamped('corp'),
    });
    expect((await review(one, randomToken())).authenticated).toBe(false);
  }
  expect(await operator.run(['block', '--user', 'corp:alice', '--for', '1h'])).toMatchObject({
    code: 0,
  });
  expect(await review(http2, people.alice.token)).toEqual({ authenticated: false });
  await gateway.stop();
  expect(await stat(join(unit.logs, 'audit.log'))).toMatchObject({ uid: unit.uid, gid: unit.gid });
  const lines = await readTrail(unit.logs);
  expect(lines.map(({ outcome, event }) => outcome ?? event)).toEqual([
    'revoke',
    ...Array(2).fill(['authenticated', 'authenticated', 'authenticated', 'unknown']).flat(),
    'block',
    'rejected',
  ]);
});
