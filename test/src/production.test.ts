import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startRedis } from '@sallyport/test-servers/redis';
import { expect, test } from 'vitest';
import { readTrail } from './testing/audit-trail.ts';
import { sealingKey } from './testing/cache-gateway.ts';
import { http1Client, http2Client, review } from './testing/clients.ts';
import { codeFolder, gatewayFolder, runCommand } from './testing/command.ts';
import { temporaryFolder } from './testing/folder.ts';
import { startGateway } from './testing/gateway.ts';
import { startPeople } from './testing/ldap-gateway.ts';
import { createMutualTls } from './testing/mutual-tls.ts';
import { rootFolder } from './testing/pnpm.ts';
import { operatorIn } from './testing/redis-commands.ts';
import { documentedLines } from './testing/redis-lines.ts';
import { runLine } from './testing/shell.ts';
import { randomToken, secret } from './testing/tokens.ts';
import { installUnit } from './testing/unit.ts';

/** The shipped file with the addresses of this test in it: each is there as often as it says, and nothing else changes. */
async function shipped(places: Readonly<Record<string, readonly [times: number, here: string]>>): Promise<string> {
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
  const sallyport = [process.execPath, join(gatewayFolder, codeFolder, 'sallyport.js')].map((word) => `'${word}'`);
  const line = `sallyport() { ${sallyport.join(' ')} "$@"; }; ${command}`;
  const shown = await runLine(line, { cwd: folder, env: { PATH: process.env.PATH ?? '' } });
  const [, emergency = ''] = /shown this once: (\S+)\n/.exec(shown) ?? [];
  return { emergency: secret(emergency), tokensFile: await readFile(join(folder, 'tokens.yaml'), 'utf8') };
}

test('the whole example checks green, starts as the unit starts it, and answers for each of its authenticators', async () => {
  const [people, mutual] = [await startPeople(), await createMutualTls()];
  await using _ = people;
  const password = secret(randomToken());
  const [rights = ''] = await documentedLines('One user for everything');
  await using redis = await startRedis({ users: [rights.replace('>PASSWORD', `>${password}`)], password: true });
  const config = await shipped({
    '0.0.0.0:8443': [1, '127.0.0.1:0'],
    '127.0.0.1:8081': [1, '127.0.0.1:0'],
    'rediss://redis.example.com:6380': [2, redis.tlsUrl],
    'ldaps://ldap-a.example.com': [1, people.slapd.ldapsUrl],
    'ldaps://ldap-b.example.com': [1, people.slapd.ldapsUrl.replace('127.0.0.1', 'localhost')],
    'cn=sallyport,ou=services,dc=example,dc=com': [1, people.slapd.service.dn],
  });
  const { emergency, tokensFile } = await makeTokensFile(config);
  const unit = await installUnit({
    'gateway.yaml': config,
    'tls/server.crt': mutual.files['tls/server.crt'] ?? '',
    'tls/server.key': mutual.files['tls/server.key'] ?? '',
    'tls/client-ca.crt': mutual.files['tls/client-ca.crt'] ?? '',
    'tls/ldap-ca.crt': people.files['tls/ldap-ca.crt'] ?? '',
    'tls/redis-ca.crt': await readFile(redis.caFile, 'utf8'),
    'secrets/ldap-password': people.files['secrets/ldap'] ?? '',
    'secrets/redis-password': password,
    'secrets/sealing-key': sealingKey(),
    'tokens.yaml': tokensFile,
  });
  const place = ['--config', '/etc/sallyport/gateway.yaml'];
  const check = (account?: 'root') =>
    runCommand(['check', ...place], { cwd: unit.logs, through: unit.through(account) });
  expect(await check()).toMatchObject({ code: 0, stdout: expect.not.stringContaining('fault'), stderr: '' });
  expect((await check('root')).stderr).toMatch(
    /^sallyport: checked as root, .* for the group sallyport\. .* run runuser -u sallyport -- .*sallyport\.js check --config \/etc\/sallyport\/gateway\.yaml\n$/,
  );
  const started = { folder: unit.logs, through: unit.through(), commandArguments: place };
  await using gateway = await startGateway(started);
  const operator = operatorIn(unit.folder, {});

  const robot = await operator.create('--user', 'ci', '--group', 'builders');
  using http1 = http1Client(gateway.url, mutual.client);
  using http2 = http2Client(gateway.url, mutual.client);
  const stamped = (authenticator: string) => ({
    'sallyport.example.com/authenticator': [authenticator],
    'sallyport.example.com/credential': [expect.stringMatching(/^[\w-]{22}$/)],
  });
  for (const client of [http1, http2]) {
    expect((await review(client, emergency)).user).toEqual({
      username: 'break-glass:ops',
      groups: ['system:masters'],
      extra: stamped('break-glass'),
    });
    expect((await review(client, robot)).user).toEqual({
      username: 'robot:ci',
      groups: ['robot:builders'],
      extra: stamped('robots'),
    });
    expect((await review(client, people.alice.token)).user).toEqual({
      username: 'corp:alice',
      groups: ['corp:k8s-admins'],
      extra: stamped('corp'),
    });
    expect((await review(client, randomToken())).authenticated).toBe(false);
  }
  expect(await operator.run(['block', '--user', 'corp:alice', '--for', '1h'])).toMatchObject({ code: 0 });
  expect(await review(http2, people.alice.token)).toEqual({ authenticated: false });
  await gateway.stop();
  expect(await stat(join(unit.logs, 'audit.log'))).toMatchObject({ uid: unit.uid, gid: unit.gid });
  const lines = await readTrail(unit.logs);
  expect(lines.map(({ outcome, event }) => outcome ?? event)).toEqual([
    ...Array(2).fill(['authenticated', 'authenticated', 'authenticated', 'unknown']).flat(),
    'block',
    'rejected',
  ]);
});
