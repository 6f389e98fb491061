import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startRedis } from '@sallyport/test-servers/redis';
import { expect, test } from 'vitest';
import { readTrail } from './testing/audit-trail.ts';
import { sealingKey } from './testing/cache-gateway.ts';
import { http1Client, http2Client, review } from './testing/clients.ts';
import { startGateway } from './testing/gateway.ts';
import { startPeople } from './testing/ldap-gateway.ts';
import { createMutualTls } from './testing/mutual-tls.ts';
import { rootFolder } from './testing/pnpm.ts';
import { operatorIn } from './testing/redis-commands.ts';
import { documentedLines } from './testing/redis-lines.ts';
import { randomToken, secret, sha256 } from './testing/tokens.ts';

/** The shipped file with the addresses of this test in it: each is there as often as it says, and nothing else changes. */
async function shipped(places: Readonly<Record<string, readonly [times: number, here: string]>>): Promise<string> {
  let text = await readFile(join(rootFolder, 'examples', 'production.yaml'), 'utf8');
  for (const [there, [times, here]] of Object.entries(places)) {
    expect([there, text.split(there).length - 1]).toEqual([there, times]);
    text = text.replaceAll(there, here);
  }
  return text;
}

test('the whole example checks green, starts, and answers for each of its authenticators', async () => {
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
  const emergency = secret(randomToken());
  const files = {
    'tls/server.crt': mutual.files['tls/server.crt'] ?? '',
    'tls/server.key': mutual.files['tls/server.key'] ?? '',
    'tls/client-ca.crt': mutual.files['tls/client-ca.crt'] ?? '',
    'tls/ldap-ca.crt': people.files['tls/ldap-ca.crt'] ?? '',
    'tls/redis-ca.crt': await readFile(redis.caFile, 'utf8'),
    'secrets/ldap-password': people.files['secrets/ldap'] ?? '',
    'secrets/redis-password': password,
    'secrets/sealing-key': sealingKey(),
    'tokens.yaml': `tokens:\n  - sha256: ${sha256(emergency)}\n    username: ops\n    groups: [system:masters]\n`,
  };
  await using gateway = await startGateway({ config, files });
  const operator = operatorIn(gateway.folder, {});
  const { code, stdout } = await operator.run(['check']);
  expect([code, stdout]).toEqual([0, expect.not.stringContaining('fault')]);

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
  const lines = await readTrail(gateway.folder);
  expect(lines.map(({ outcome, event }) => outcome ?? event)).toEqual([
    ...Array(2).fill(['authenticated', 'authenticated', 'authenticated', 'unknown']).flat(),
    'block',
    'rejected',
  ]);
});
