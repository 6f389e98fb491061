import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import type { KeyPair } from './certificates.ts';
import { newPassword } from './passwords.ts';
import { accepts } from './ports.ts';
import { type RedisSentinels, startSentinels } from './redis-sentinel.ts';

const password = newPassword();
const users = [`user limited on >${password} ~own:* +get +set +info +role`];

interface Client extends AsyncDisposable {
  readonly redis: Redis;
}

/** A client of the limited user, at the node that the sentinels name. */
function connect(
  sentinels: RedisSentinels,
  secure?: { certificate: KeyPair; sentinelPassword: string },
): Client {
  const tls = secure && {
    ca: sentinels.authority.certificate,
    cert: secure.certificate.certificate,
    key: secure.certificate.key,
  };
  const redis = new Redis({
    name: sentinels.name,
    sentinels: sentinels.addresses.map((address) => ({
      host: '127.0.0.1',
      port: Number(address.split(':')[1]),
    })),
    username: 'limited',
    password,
    maxRetriesPerRequest: null,
    ...(secure && {
      tls,
      sentinelTLS: tls,
      enableTLSForSentinelMode: true,
      sentinelPassword: secure.sentinelPassword,
    }),
  });
  redis.on('error', () => {});
  return {
    redis,
    async [Symbol.asyncDispose]() {
      redis.disconnect();
    },
  };
}

test('a replica takes the place of a killed master, which comes back as a replica, and a majority must agree', async () => {
  const sentinels = await startSentinels({ program: 'valkey-server', users, replicas: 2 });
  onTestFinished(() => sentinels[Symbol.asyncDispose]());
  const settled = sentinels.sentinels.map((sentinel) => sentinel.knows({ replicas: 2, others: 2 }));
  expect(await Promise.all(settled)).toEqual([true, true, true]);
  const [first, ...replicas] = sentinels.nodes;
  if (first === undefined) throw new Error('no node was started');
  expect(await sentinels.master()).toBe(first);
  await using client = connect(sentinels);
  expect(await client.redis.set('own:key', 'one')).toBe('OK');
  await expect(client.redis.get('key')).rejects.toThrow('NOPERM');
  // WAIT waits for the writes of its own connection, and so for all before them.
  const master = first.client();
  await master.set('last', 'write');
  expect(await master.wait(2, 0)).toBe(2);
  const promoted = sentinels.untilPromoted(first);
  await first.kill();
  const second = await promoted;
  expect(replicas).toContain(second);
  expect(await sentinels.master()).toBe(second);
  expect(await client.redis.get('own:key')).toBe('one');
  await client.redis.set('own:key', 'two');
  await first.start();
  await sentinels.untilSettled();
  expect(await first.client().get('own:key')).toBe('two');
  expect(await sentinels.master()).toBe(second);

  const [one, two] = sentinels.sentinels;
  await one?.stop();
  expect(await sentinels.master()).toBe(second);
  await two?.hang();
  await expect(sentinels.master()).rejects.toThrow('1 of 3 sentinels');
  await one?.start();
  expect(await sentinels.master()).toBe(second);

  await second.hang();
  await sentinels[Symbol.asyncDispose]();
  const addresses = sentinels.addresses.map((address) => Number(address.split(':')[1]));
  const ports = [...addresses, ...sentinels.nodes.map(({ port }) => port)];
  expect(ports).toHaveLength(6);
  for (const port of ports) expect(await accepts(port)).toBe(false);
});

test('all may talk TLS only, with certificates and passwords, and a hanging master is replaced', async () => {
  const sentinelPassword = newPassword();
  const options = {
    users,
    tls: true,
    requiresClientCertificate: true,
    password: true,
    sentinelPassword,
  };
  await using sentinels = await startSentinels(options);
  const [first, second] = sentinels.nodes;
  if (first === undefined) throw new Error('no node was started');
  const certificate = await sentinels.authority.issueClient('a client');
  await using client = connect(sentinels, { certificate, sentinelPassword });
  await client.redis.set('own:key', 'one');
  expect(await first.client().get('own:key')).toBe('one');
  await first.hang();
  expect(await sentinels.untilPromoted(first)).toBe(second);
  expect(await sentinels.master()).toBe(second);
});
