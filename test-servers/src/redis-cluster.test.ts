import { Cluster } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { newPassword } from './passwords.ts';
import { accepts } from './ports.ts';
import type { RedisServer } from './redis.ts';
import { type RedisCluster, slotRangesOf, startCluster } from './redis-cluster.ts';

const password = newPassword();
const users = [`user limited on >${password} ~own:* +get +set +info +cluster|slots +cluster|info`];

interface Client extends AsyncDisposable {
  readonly redis: Cluster;
}

/** A client of the limited user, which follows redirections. */
function connect({ nodes, authority }: RedisCluster, { tls = false } = {}): Client {
  const redis = new Cluster(
    nodes.map(({ port, tlsPort }) => ({ host: '127.0.0.1', port: tls ? tlsPort : port })),
    {
      redisOptions: {
        username: 'limited',
        password,
        ...(tls && { tls: { ca: authority.certificate } }),
      },
    },
  );
  redis.on('error', () => {});
  return {
    redis,
    async [Symbol.asyncDispose]() {
      redis.disconnect();
    },
  };
}

/** A key in the slots of each master, in their order. */
async function keysOf(cluster: RedisCluster, masters: readonly RedisServer[]): Promise<string[]> {
  const keys = Array.from({ length: 100 }, (_, index) => `own:${index}`);
  const owners = await Promise.all(keys.map((key) => cluster.masterOf(key)));
  return masters.map((master) => keys[owners.indexOf(master)] ?? '');
}

/** Every node knows every master with its replica. */
async function expectReplicas({ nodes }: RedisCluster): Promise<void> {
  for (const node of nodes) {
    expect((await slotRangesOf(node)).map(({ ports }) => ports.length)).toEqual([2, 2, 2]);
  }
}

test('replicas take the place of a killed and of a hanging master, clients may use TLS, and all end with the test', async () => {
  const cluster = await startCluster({ users, password: true });
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  expect(cluster.urls).toEqual(cluster.nodes.map(({ port }) => `redis://127.0.0.1:${port}`));
  const [first, second, third, replica, otherReplica] = cluster.nodes;
  if (first === undefined || second === undefined) throw new Error('no node was started');
  await expectReplicas(cluster);
  const masters = await cluster.masters();
  expect(masters).toEqual([first, second, third]);
  const keys = await keysOf(cluster, masters);
  const [key = '', otherKey = ''] = keys;
  await using client = connect(cluster);
  await using secure = connect(cluster, { tls: true });
  for (const one of keys) {
    await client.redis.set(one, 'one');
    expect(await secure.redis.get(one)).toBe('one');
  }
  for (const [index, master] of masters.entries()) {
    expect(await master.client().keys('*')).toEqual([keys[index]]);
  }
  await expect(client.redis.get('key')).rejects.toThrow('NOPERM');
  // WAIT waits for the writes of its own connection, and so for all before them.
  const master = first.client();
  await master.set(key, 'one');
  expect(await master.wait(1, 0)).toBe(1);
  const promoted = cluster.untilPromoted(first);
  await first.kill();
  expect(await promoted).toBe(replica);
  expect(await cluster.masters()).toEqual([replica, second, third]);
  expect(await cluster.masterOf(key)).toBe(replica);
  expect(await client.redis.get(key)).toBe('one');
  await client.redis.set(key, 'two');
  await first.start();
  await cluster.untilSettled();
  await expectReplicas(cluster);
  await first.client().readonly();
  expect(await first.client().get(key)).toBe('two');
  expect(await cluster.masterOf(key)).toBe(replica);

  await second.hang();
  expect(await cluster.untilPromoted(second)).toBe(otherReplica);
  await second.start();
  await cluster.untilSettled();
  expect(await cluster.masterOf(otherKey)).toBe(otherReplica);

  await third?.hang();
  await cluster[Symbol.asyncDispose]();
  expect(cluster.nodes).toHaveLength(6);
  for (const { port } of cluster.nodes) {
    expect(await accepts(port)).toBe(false);
  }
});
