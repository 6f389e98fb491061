import { startCluster } from '@sallyport/test-servers/redis-cluster';
import { commandCalls } from '@sallyport/test-servers/redis-command-calls';
import { describe, expect, test } from 'vitest';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { keyPrefix, openShared } from '../shared-redis/testing/opened-shared-redis.ts';
import { redisOfFile } from '../shared-redis/testing/redis-of-file.ts';
import { createEndedSessions, type EndedSessions } from './ended-sessions.ts';
import { digestToken } from './list.ts';
import { maxEndedShared, revocationKeys } from './scripts.ts';

const file = redisOfFile();
/** A busy machine is not an outage. */
const createPatientSessions = () => createEndedSessions(20_000);
const keys = revocationKeys(keyPrefix);

/** Ends sessions at a replica, and has it publish that. */
async function end(
  at: EndedSessions,
  redis: ProbedRedis,
  ...tokens: readonly string[]
): Promise<void> {
  for (const token of tokens) at.add(digestToken(token));
  await at.synchronize(redis);
}

/** Finds those of the tokens that a replica without a memory learns from Redis. */
async function learned(redis: ProbedRedis, tokens: readonly string[]): Promise<readonly string[]> {
  const fresh = createPatientSessions();
  await fresh.synchronize(redis);
  return tokens.filter((token) => fresh.has(token));
}

/** Ends a session at one replica. @returns whether another one, which had read the list before, learns of it */
async function isLearned(
  one: EndedSessions,
  other: EndedSessions,
  token: string,
): Promise<boolean> {
  await end(one, file.opened.redis, token);
  await other.synchronize(file.opened.redis);
  return other.has(token);
}

const numbered = (count: number, name: string) =>
  Array.from({ length: count }, (_, n) => `${name}-${n}`);

describe('a session that has ended', () => {
  test('is known immediately where it ended, and elsewhere after a poll of each', async () => {
    const [one, other] = [createPatientSessions(), createPatientSessions()];
    one.add(digestToken('session'));
    expect([one.has('session'), one.has('another')]).toEqual([true, false]);
    await other.synchronize(file.opened.redis);
    expect(other.has('session')).toBe(false);
    await one.synchronize(file.opened.redis);
    await other.synchronize(file.opened.redis);
    expect([other.has('session'), other.has('another')]).toEqual([true, false]);
  });

  test('is published by a later poll, when Redis takes no writes, and is read meanwhile', async () => {
    const [one, other] = [createPatientSessions(), createPatientSessions()];
    await end(other, file.opened.redis, 'before');
    const { client } = file.redis;
    await client().config('SET', 'min-replicas-to-write', '1');
    await end(one, file.opened.redis, 'session');
    expect(one.has('before')).toBe(true);
    await client().config('SET', 'min-replicas-to-write', '0');
    expect(await learned(file.opened.redis, ['before', 'session'])).toEqual(['before']);
    await one.synchronize(file.opened.redis);
    expect(await learned(file.opened.redis, ['before', 'session'])).toEqual(['before', 'session']);
  });

  test('is published when the memory of Redis is full', async () => {
    const one = createPatientSessions();
    await file.redis.client().config('SET', 'maxmemory', '1');
    await end(one, file.opened.redis, 'session');
    await file.redis.client().config('SET', 'maxmemory', '0');
    expect(await learned(file.opened.redis, ['session'])).toEqual(['session']);
  });

  test('is learned in a cluster', async () => {
    await using cluster = await startCluster({ replicasPerMaster: 0 });
    const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
    await using opened = await openShared(cluster.nodes[0] as never, {
      servers: { kind: 'cluster', secure: false, nodes },
    });
    await end(createPatientSessions(), opened.redis, 'session');
    expect(await learned(opened.redis, ['session', 'another'])).toEqual(['session']);
  });
});

describe('the cost of ended sessions', () => {
  test('is one call a poll, which reads the sessions only when one has ended, and returns the new ones alone', async () => {
    const replies: unknown[] = [];
    const redis: ProbedRedis = {
      ...file.opened.redis,
      async askWithin(...given) {
        const reply = await file.opened.redis.askWithin(...given);
        replies.push(reply);
        return reply;
      },
    };
    const [one, other] = [createPatientSessions(), createPatientSessions()];
    await end(one, file.opened.redis, ...numbered(20, 'old'));
    await other.synchronize(redis);
    const reads = (await commandCalls(file.redis)).of('hgetall');
    for (let polls = 0; polls < 5; polls += 1) await other.synchronize(redis);
    expect((await commandCalls(file.redis)).of('hgetall')).toBe(reads);
    await end(one, file.opened.redis, 'new');
    await other.synchronize(redis);
    expect(replies).toHaveLength(7);
    const sizes = replies.map((reply) => (reply as [string, string[]])[1].length);
    expect(sizes).toEqual([20, 0, 0, 0, 0, 0, 1]);
    expect(other.has('new')).toBe(true);
  });

  test('is bounded in Redis: the oldest go first, and all that is there expires', async () => {
    const one = createPatientSessions();
    const tokens = numbered(maxEndedShared + 50, 'session');
    await end(one, file.opened.redis, ...tokens.slice(0, 100));
    await end(one, file.opened.redis, ...tokens.slice(100, 1_000));
    await end(one, file.opened.redis, ...tokens.slice(1_000));
    expect(await learned(file.opened.redis, tokens)).toEqual(tokens.slice(50));
    expect(tokens.every((token) => one.has(token))).toBe(true);
    for (const key of await file.redis.client().keys('*')) {
      expect(await file.redis.client().pttl(key)).toBeGreaterThan(47 * 3_600_000);
    }
  });

  test('is bounded in memory, where the oldest go first too', () => {
    const one = createPatientSessions();
    const tokens = numbered(10_010, 'session');
    for (const token of tokens) one.add(digestToken(token));
    expect(tokens.filter((token) => !one.has(token))).toEqual(tokens.slice(0, 10));
  });

  test('does not rise with a session that ends again and again', async () => {
    const one = createPatientSessions();
    await end(one, file.opened.redis, 'first');
    const reads = (await commandCalls(file.redis)).of('hgetall');
    for (let count = 0; count < 3; count += 1) await end(one, file.opened.redis, 'first');
    expect((await commandCalls(file.redis)).of('hgetall')).toBe(reads);
    // Another replica that has not read the list sends the same one.
    await end(createPatientSessions(), file.opened.redis, 'first');
    expect(await file.redis.client().hlen(keys.ended)).toBe(1);
  });

  test('of two replicas that publish the same one is one entry, which hides no other one', async () => {
    const [one, other, reader] = [
      createPatientSessions(),
      createPatientSessions(),
      createPatientSessions(),
    ];
    await end(one, file.opened.redis, 'both');
    await reader.synchronize(file.opened.redis);
    await end(other, file.opened.redis, 'another', 'both');
    await reader.synchronize(file.opened.redis);
    expect(reader.has('another')).toBe(true);
  });
});

describe('a sealing key', () => {
  test('that is the second one, or was the first, opens what was written with it', async () => {
    await using both = await openShared(file.redis, { keys: 'AB' });
    await using moved = await openShared(file.redis, { keys: 'BA' });
    await end(createPatientSessions(), file.opened.redis, 'by the old key');
    await end(createPatientSessions(), moved.redis, 'by the new key');
    const all = ['by the old key', 'by the new key'];
    expect(await learned(both.redis, all)).toEqual(all);
    expect(await learned(moved.redis, all)).toEqual(all);
    await using dropped = await openShared(file.redis, { keys: 'B' });
    expect(await learned(dropped.redis, all)).toEqual(['by the new key']);
  });

  test('is what a writer of Redis lacks to end a session of others', async () => {
    await using foreign = await openShared(file.redis, { keys: 'C' });
    await end(createPatientSessions(), foreign.redis, 'by another key');
    await end(createPatientSessions(), file.opened.redis, 'real');
    const [real = ''] = (await file.redis.client().hkeys(keys.ended)).filter((one) =>
      one.startsWith(digestToken('real')),
    );
    const [, mac = ''] = real.split('.');
    const victim = digestToken('victim');
    const forged = [
      victim,
      `${victim}.`,
      `${victim}.${mac}`,
      `${victim}.${'A'.repeat(43)}`,
      `${real}.${victim}`,
    ];
    for (const [at, member] of forged.entries())
      await file.redis.client().hset(keys.ended, member, String(100 + at));
    expect(await learned(file.opened.redis, ['victim', 'by another key', 'real'])).toEqual([
      'real',
    ]);
  });
});

describe('a Redis', () => {
  test('that has lost its data takes and returns what ends from then on, and no replica forgets', async () => {
    const [one, other] = [createPatientSessions(), createPatientSessions()];
    for (const token of ['a', 'b', 'c']) expect(await isLearned(one, other, token)).toBe(true);
    await file.redis.client().flushall();
    await other.synchronize(file.opened.redis);
    for (const token of ['d', 'e']) expect(await isLearned(one, other, token)).toBe(true);
    expect(['a', 'b', 'c', 'd', 'e'].every((token) => one.has(token) && other.has(token))).toBe(
      true,
    );
  });

  test('that went back to an earlier state between two polls hides nothing', async () => {
    const [one, other, third] = [
      createPatientSessions(),
      createPatientSessions(),
      createPatientSessions(),
    ];
    const client = file.redis.client();
    await end(one, file.opened.redis, 'a');
    const [before, newest] = [
      await client.hgetall(keys.ended),
      (await client.get(keys.endedNewest)) ?? '',
    ];
    await end(one, file.opened.redis, 'b', 'c');
    await other.synchronize(file.opened.redis);
    // A failover that lost the last writes; then others end more than were lost.
    await client.del(keys.ended);
    await client.hset(keys.ended, before);
    await client.set(keys.endedNewest, newest);
    await end(third, file.opened.redis, 'd', 'e', 'f');
    await other.synchronize(file.opened.redis);
    expect(['d', 'e', 'f'].filter((token) => other.has(token))).toEqual(['d', 'e', 'f']);
  });

  test.each<{
    name: string;
    write: (client: ReturnType<typeof file.redis.client>) => Promise<unknown>;
  }>([
    { name: 'a text in place of the sessions', write: (client) => client.set(keys.ended, 'x') },
    {
      name: 'a list in place of the newest',
      write: (client) => client.rpush(keys.endedNewest, 'x'),
    },
    {
      name: 'another newest',
      write: (client) => client.set(keys.endedNewest, 'x'.repeat(100_000)),
    },
    {
      name: 'a position above all that follow',
      write: (client) => client.hset(keys.ended, 'x', '900000000000000'),
    },
    {
      name: 'the highest position that is read',
      write: (client) => client.hset(keys.ended, 'x', '999999999999999'),
    },
    { name: 'an infinite position', write: (client) => client.hset(keys.ended, 'x', 'inf') },
    {
      name: 'positions that are not numbers',
      write: (client) => client.hset(keys.ended, 'x', 'nan', 'y', '', 'z', '-inf'),
    },
    {
      name: 'a session of many bytes',
      write: (client) => client.hset(keys.ended, 'x'.repeat(100_000), '5'),
    },
    {
      name: 'very many sessions',
      write: (client) =>
        client.hset(keys.ended, Object.fromEntries(numbered(5_000, 'x').map((x) => [x, '7']))),
    },
  ])('in which another client has put $name is of use again', async ({ write }) => {
    const [one, other] = [createPatientSessions(), createPatientSessions()];
    expect(await isLearned(one, other, 'before')).toBe(true);
    await file.redis.client().del(keys.ended, keys.endedNewest);
    await write(file.redis.client());
    // Junk can hide one session, for those that had not read it; a second one finds an intact list.
    await isLearned(one, other, 'first');
    for (const token of ['second', 'third']) expect(await isLearned(one, other, token)).toBe(true);
    expect(await learned(file.opened.redis, ['second', 'third'])).toEqual(['second', 'third']);
    expect(await file.redis.client().hlen(keys.ended)).toBeLessThanOrEqual(maxEndedShared);
  });
});
