import {
  type RedisServer,
  startRedis,
  startReplica,
  untilInSync,
} from '@sallyport/test-servers/redis';
import { startCluster } from '@sallyport/test-servers/redis-cluster';
import { commandCalls, forgetCalls } from '@sallyport/test-servers/redis-command-calls';
import { startSentinels } from '@sallyport/test-servers/redis-sentinel';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { createReplicationCheck } from './replication.ts';
import { never, newKey, type Opened, open } from './testing/opened.ts';

/** Writes at a key, and asks whether a replica has it. */
async function written(
  { connection }: Opened,
  key: string = newKey(),
): Promise<boolean | undefined> {
  await connection.run((client) => client.set(key, 'x'), never);
  return connection.isReplicated(key);
}

/** A replica that works may take its time on a busy machine. */
const untilConfirmed = (opened: Opened, key?: string) =>
  waitFor(async () => (await written(opened, key)) === true, 'a replica to confirm a write');

describe('whether a replica has confirmed a write', () => {
  test('is not known of a server without replicas, which is not waited for', async () => {
    await using redis = await startRedis();
    await using opened = await open({ url: redis.url });
    await forgetCalls(redis);
    expect(await written(opened)).toBeUndefined();
    expect((await commandCalls(redis)).names).toEqual(['pttl', 'role', 'set']);
  });

  test('is not known to a user who may not ask, and nothing fails', async () => {
    await using redis = await startRedis({
      users: ['user a on nopass ~* +set +pttl', 'user b on nopass ~* +set +pttl +role'],
    });
    await using _replica = await connected(redis);
    for (const username of ['a', 'b']) {
      await using opened = await open({ url: redis.url, username, password: 'x' });
      expect([username, await written(opened)]).toEqual([username, undefined]);
    }
  });

  test('is yes while one runs, and no while all hang; one that goes on counts again', async () => {
    await using redis = await startRedis();
    await using replica = await connected(redis);
    await using opened = await open({ url: redis.url });
    await untilConfirmed(opened);
    await replica.hang();
    await forgetCalls(redis);
    // Other commands of the connection are not held up until the answer is there.
    const answers = Promise.all(Array.from({ length: 20 }, () => written(opened)));
    let isAnswered = false;
    void answers.then(() => {
      isAnswered = true;
    });
    for (let count = 0; count < 5; count += 1) await opened.read(newKey());
    expect(isAnswered).toBe(false);
    expect(new Set(await answers)).toEqual(new Set([false]));
    // All questions that come while another one is asked share the next one.
    expect((await commandCalls(redis)).of('wait')).toBeLessThan(10);
    await replica.start();
    await untilConfirmed(opened);
  });

  test('is no without a question for a second after one in vain', async () => {
    await using redis = await startRedis();
    await using replica = await connected(redis);
    await using opened = await open({ url: redis.url });
    await replica.hang();
    const asked = async () => (await commandCalls(redis)).of('wait');
    await opened.connection.run(async (client) => {
      await client.set('a', 'x');
      let time = 0;
      // A tenth of a second passes at each look at the clock.
      const check = createReplicationCheck(
        () => client,
        30_000,
        () => (time += 100),
      );
      expect([await check('a'), await asked()]).toEqual([false, 1]);
      expect([await check('a'), await asked()]).toEqual([false, 1]);
      time += 1_000;
      expect([await check('a'), await asked()]).toEqual([false, 2]);
    }, never);
  });

  test('is no when the server itself hangs', async () => {
    await using redis = await startRedis();
    await using opened = await open({ url: redis.url, commandTimeout: '200ms' });
    await redis.hang();
    expect(await opened.connection.isReplicated('a')).toBe(false);
  });

  test('is no behind sentinels while no replica is connected', async () => {
    await using sentinels = await startSentinels();
    await using opened = await open({ sentinels: sentinels.addresses, name: sentinels.name });
    await untilConfirmed(opened);
    const master = await sentinels.master();
    await sentinels.nodes.find((node) => node !== master)?.hang();
    expect(await written(opened)).toBe(false);
    await sentinels.nodes.find((node) => node !== master)?.kill();
    await waitFor(
      async () => ((await master.client().role()) as unknown[][])[2]?.length === 0,
      'the replica to be gone',
    );
    expect(await written(opened)).toBe(false);
  });

  test('is that of the node of the key in a cluster', async () => {
    await using cluster = await startCluster();
    await using opened = await open({
      cluster: cluster.nodes.map(({ port }) => `127.0.0.1:${port}`),
    });
    const [first, second] = await cluster.masters();
    if (first === undefined || second === undefined)
      throw new Error('the cluster has too few masters');
    const keyOf = (node: RedisServer) =>
      waitFor(async () => {
        const key = newKey();
        return (await cluster.masterOf(key)) === node ? key : undefined;
      }, 'a key of a node');
    const [one, other] = [await keyOf(first), await keyOf(second)];
    for (const key of [one, other]) await untilConfirmed(opened, key);
    await (await replicaOf(first, cluster.nodes)).hang();
    expect(await written(opened, one)).toBe(false);
    await untilConfirmed(opened, other);
  });
});

/** A replica that has all data of its master. */
async function connected(master: RedisServer): Promise<RedisServer> {
  const replica = await startReplica(master, {}, ({ port }) => port);
  await untilInSync(replica);
  return replica;
}

async function replicaOf(master: RedisServer, nodes: readonly RedisServer[]): Promise<RedisServer> {
  const [, , replicas = []] = (await master.client().role()) as [
    string,
    number,
    [string, string, string][],
  ];
  const found = nodes.find(({ port }) => replicas.some((one) => one[1] === String(port)));
  if (found === undefined) throw new Error('the node has no replica');
  return found;
}
