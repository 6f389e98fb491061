import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { startCluster } from '@sallyport/test-servers/redis-cluster';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keyPrefix } from '../shared-redis/testing/opened-shared-redis.ts';
import type { OpenedOptions } from './testing/opened-redis.ts';
import { startReplicas } from './testing/replicas.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(async () => {
  await redis.client().flushall();
});
afterAll(() => redis?.[Symbol.asyncDispose]());

test('Redis gets neither a name nor a secret, and stores nothing for ever', async () => {
  const monitor = await redis.client().monitor();
  const heard: string[] = [];
  monitor.on('monitor', (_, words: string[]) => heard.push(words.join(' ')));
  await using all = await startReplicas(redis);
  for (const outcome of ['accepted', 'refused', 'unavailable'] as const) {
    for (const replica of [0, 1, 2])
      await all.send(replica, 'jane.doe', `S3cret-${outcome}`, outcome);
  }
  all.begin(0, 'jane.doe', 'S3cret-pending');
  await all.settled();
  await redis.client().echo('the end');
  await waitFor(() => heard.some((words) => words.includes('the end')), 'all that was said');
  monitor.disconnect();
  const sent = heard.join('\n');
  expect(heard.filter((words) => words.startsWith('eval ')).length).toBeGreaterThan(15);
  expect(sent).toMatch(new RegExp(`HSET ${keyPrefix}lockout:`, 'i'));

  const stored: string[] = [];
  for (const key of await redis.client().keys('*')) {
    stored.push(key, JSON.stringify(await redis.client().hgetall(key)));
    expect(await redis.client().pttl(key)).toBeGreaterThan(0);
  }
  for (const word of ['known:', 'right ', 'pending ', 'refused '])
    expect(stored.join()).toContain(word);
  for (const text of [sent, stored.join()]) {
    for (const secret of ['S3cret', 'jane', 'corp']) {
      for (const encoding of ['utf8', 'base64url', 'hex'] as const) {
        expect(text).not.toContain(Buffer.from(secret).toString(encoding));
      }
    }
  }
});

const programs = ['redis-server', 'valkey-server'] as const;

test.each(programs)(
  'a user of %s needs no more than the minimal ACL, and no other command is sent',
  async (program) => {
    await using server = await startRedis({ program });
    const minimalAcl = `(~${keyPrefix}lockout:* +eval +time +hlen +hgetall +hset +hdel +pttl +pexpire)`;
    await server.client().call('ACL', 'SETUSER', 'minimal', 'reset', 'on', '>hunter2', minimalAcl);
    await using all = await startReplicas(server, {
      username: 'minimal',
      password: 'hunter2',
      maxFailures: 2,
    });
    await all.send(0, 'jane', 'right', 'accepted');
    expect(await all.send(0, 'jane', 'a', 'refused')).toBe('sent');
    expect(await all.send(1, 'jane', 'b', 'refused')).toBe('sent');
    expect(await all.send(2, 'jane', 'c', 'refused')).toBe('throttled');
    expect(await all.send(2, 'jane', 'right', 'unavailable')).toBe('sent');
    await all.pass(700_000);
    expect(await all.send(2, 'jane', 'c', 'refused')).toBe('sent');
    expect(await server.client().call('ACL', 'LOG')).toEqual([]);
  },
);

describe('sealing keys that are changed', () => {
  async function startReplicasWithKeys() {
    let keys = 'A';
    const options: OpenedOptions & { maxFailures: number } = { keys: () => keys, maxFailures: 2 };
    const all = await startReplicas(redis, options);
    // A replica that knows what it learns from Redis alone.
    const foreign = await startReplicas(redis, { ...options, count: 1 });
    return {
      all,
      foreign,
      change(to: string) {
        keys = to;
      },
      async [Symbol.asyncDispose]() {
        await all[Symbol.asyncDispose]();
        await foreign[Symbol.asyncDispose]();
      },
    };
  }

  test('change no count while the key of its time is there', async () => {
    await using both = await startReplicasWithKeys();
    for (const password of ['a', 'b']) await both.all.send(0, 'jane', password, 'refused');
    for (const keys of ['A', 'AB', 'BA']) {
      both.change(keys);
      expect(await both.all.send(1, 'jane', 'c', 'refused')).toBe('throttled');
    }
    for (const keys of ['A', 'AB', 'BA']) {
      both.change(keys);
      expect(await both.all.send(1, 'jane', 'a', 'refused')).toBe('invalid-credentials');
    }
  });

  test('leave right secrets known while the key of their time is there, and then if they were right since', async () => {
    await using both = await startReplicasWithKeys();
    for (const password of ['right', 'rare']) await both.all.send(0, 'jane', password, 'accepted');
    for (const password of ['a', 'b']) await both.all.send(1, 'jane', password, 'refused');
    for (const keys of ['A', 'AB', 'BA']) {
      both.change(keys);
      for (const password of ['right', 'rare']) {
        expect(await both.foreign.send(0, 'jane', password, 'unavailable')).toBe('sent');
      }
      await both.all.send(0, 'jane', 'right', 'accepted');
    }
    both.change('B');
    for (const password of ['c', 'd'])
      expect(await both.all.send(2, 'jane', password, 'refused')).toBe('sent');
    expect(await both.foreign.send(0, 'jane', 'right', 'unavailable')).toBe('sent');
    expect(await both.foreign.send(0, 'jane', 'rare', 'unavailable')).toBe('throttled');
  });

  test('let a refused secret be forgotten, under whichever key it was known', async () => {
    await using both = await startReplicasWithKeys();
    await both.all.send(0, 'jane', 'right', 'accepted');
    both.change('BA');
    expect(await both.all.send(0, 'jane', 'right', 'refused')).toBe('sent');
    for (const { pass } of [both.all, both.foreign]) await pass(700_000);
    for (const password of ['a', 'b']) await both.all.send(0, 'jane', password, 'refused');
    both.change('AB');
    expect(await both.foreign.send(0, 'jane', 'right', 'refused')).toBe('throttled');
  });
});

test('a cluster has the names on its nodes, and each is decided there', async () => {
  await using cluster = await startCluster({ replicasPerMaster: 0 });
  const [node] = cluster.nodes;
  if (node === undefined) throw new Error('no node');
  const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
  await using all = await startReplicas(node, {
    maxFailures: 1,
    servers: { kind: 'cluster', secure: false, nodes },
  });
  const names = Array.from({ length: 20 }, (_, index) => `name ${index}`);
  const sendAll = (replica: number, password: string) =>
    Promise.all(names.map((name) => all.send(replica, name, password, 'refused')));
  expect(await sendAll(0, 'a')).toEqual(names.map(() => 'sent'));
  expect(await sendAll(1, 'a')).toEqual(names.map(() => 'invalid-credentials'));
  expect(await sendAll(2, 'b')).toEqual(names.map(() => 'throttled'));
  for (const each of cluster.nodes) expect(await each.client().dbsize()).toBeGreaterThan(0);
});
