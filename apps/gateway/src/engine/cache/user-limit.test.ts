import type { Decision } from '@sallyport/authenticator';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { startCluster } from '@sallyport/test-servers/redis-cluster';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import {
  keyPrefix,
  type OpenedShared,
  openShared,
  portOf,
} from '../shared-redis/testing/opened-shared-redis.ts';
import { redisOfFile } from '../shared-redis/testing/redis-of-file.ts';
import { createMemoryTier } from './memory-tier.ts';
import {
  authenticated,
  type CachedReplica,
  createReplica,
  never,
  noOpinion,
} from './testing/cached-replica.ts';
import { recordsIn } from './testing/records.ts';

const file = redisOfFile();

/** As a directory answers: it finds every spelling of a name. */
const answer = (token: string) => authenticated(token.trim().toLowerCase());

const start = ({ redis }: OpenedShared, maxEntries = 1_000) =>
  createReplica({ shared: redis, memory: createMemoryTier(maxEntries), answer });

/** Makes different tokens, all of one user. */
const spellings = (name: string, count: number) =>
  Array.from(
    { length: count },
    (_, n) => `${' '.repeat(n)}${n % 2 === 0 ? name : name.toUpperCase()}`,
  );

async function askAll({ authenticator }: CachedReplica, tokens: readonly string[]): Promise<void> {
  for (const token of tokens)
    await authenticator.authenticate(token, { audiences: [], signal: never });
}

const notesIn = async (redis: RedisServer) =>
  (await redis.client().keys(`${keyPrefix}cache-user:*`)).sort();

/** The clock of Redis, in milliseconds. */
async function timeOf(redis: RedisServer): Promise<number> {
  const [seconds, microseconds] = await redis.client().time();
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
}

const others = Array.from({ length: 20 }, (_, n) => `user-${n}`);

/** Counts the other cached users about whom the backend is asked again. */
async function lost(replica: CachedReplica): Promise<number> {
  const before = replica.asked;
  await askAll(replica, others);
  return replica.asked - before;
}

test.each(['redis-server', 'valkey-server'] as const)(
  'all spellings of one login have eight answers in both tiers, of several replicas together: %s',
  async (program) => {
    await using redis = await startRedis({ program });
    await using opened = await openShared(redis);
    await using otherOpened = await openShared(redis);
    const replicas = [start(opened, 40), start(otherOpened, 40)] as const;
    for (const replica of replicas) await askAll(replica, others);
    await Promise.all([opened.quiet(), otherOpened.quiet()]);
    const before = await recordsIn(redis);
    expect(before).toHaveLength(20);
    const tokens = spellings('alice', 60);
    await Promise.all(
      replicas.map((replica, at) => askAll(replica, tokens.slice(at * 30, at * 30 + 30))),
    );
    await Promise.all([opened.quiet(), otherOpened.quiet()]);
    const records = await recordsIn(redis);
    expect(records).toHaveLength(20 + 8);
    expect(records).toEqual(expect.arrayContaining(before));
    for (const replica of replicas) {
      expect(replica.memory.entries).toBe(20 + 8);
      expect(await lost(replica)).toBe(0);
    }
    // One note for each user, which goes with the last record.
    const notes = await notesIn(redis);
    expect(notes).toHaveLength(21);
    for (const note of notes) expect(await redis.client().pttl(note)).toBeGreaterThan(0);
  },
);

test('the newest answers stay, and a renewed one is the newest', async () => {
  const { redis, opened } = file;
  const replica = start(opened);
  const tokens = spellings('alice', 8);
  await askAll(replica, tokens);
  await opened.quiet();
  // Notes of one millisecond have no order.
  const noted = await timeOf(redis);
  await waitFor(async () => (await timeOf(redis)) > noted, 'a later millisecond of Redis');
  // The first answer is stored again, as by a replica that does not have it in memory.
  await redis.client().del(...(await recordsIn(redis)));
  const fresh = start(opened);
  await askAll(fresh, tokens.slice(0, 1));
  await opened.quiet();
  const [renewed = ''] = await recordsIn(redis);
  await askAll(fresh, spellings('alice', 15).slice(8));
  await opened.quiet();
  const records = await recordsIn(redis);
  expect(records).toHaveLength(8);
  expect(records).toContain(renewed);
});

test('what others write to the note of a user does not make the gateway delete their keys, and does not last', async () => {
  const { redis, opened } = file;
  const client = redis.client();
  const replica = start(opened);
  await askAll(replica, ['alice']);
  await opened.quiet();
  const [note = ''] = await notesIn(redis);
  const foreign = [
    ...[
      'other',
      `${keyPrefix}{revocations}:list`,
      `${keyPrefix}cache:x`,
      `${keyPrefix}cache:${'x'.repeat(43)}:y`,
    ],
    ...[`${keyPrefix}cache:${'x'.repeat(42)}*`, `${keyPrefix}cache:`],
  ];
  for (const key of foreign) await client.set(key, 'x');
  const fields = foreign
    .flatMap((key) => [key, key.slice(`${keyPrefix}cache:`.length)])
    .filter((key) => key !== '');
  const writes: readonly (() => Promise<unknown>)[] = [
    () => client.hset(note, Object.fromEntries(fields.map((field, at) => [field, `${at}`]))),
    () => client.hset(note, Object.fromEntries(fields.map((field) => [field, '9'.repeat(300)]))),
    () => client.hset(note, Object.fromEntries(fields.map((field) => [field, 'nan']))),
    () =>
      client.hset(
        note,
        Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`field-${n}`, 'x'])),
      ),
    () => client.hset(note, 'x'.repeat(100_000), '1'),
    () => client.del(note).then(() => client.set(note, 'x')),
    () => client.del(note).then(() => client.sadd(note, 'x')),
    () => client.persist(note),
  ];
  for (const [at, write] of writes.entries()) {
    await write();
    const tokens = spellings('alice', 20).map((token) => ' '.repeat(at * 20) + token);
    await askAll(replica, tokens);
    await opened.quiet();
    const names = await client.hkeys(note);
    expect([at, names.length]).toEqual([at, 8]);
    for (const name of names) expect(await client.exists(`${keyPrefix}cache:${name}`)).toBe(1);
    expect(await client.pttl(note)).toBeGreaterThan(0);
    expect(await client.exists(...foreign)).toBe(foreign.length);
  }
  expect(opened.errors).toEqual([]);
});

test('an answer that cannot be noted is not left in Redis', async () => {
  const rights = '-@all +getrange +pttl +echo +set +del';
  await using redis = await startRedis({ users: [`user limited on nopass ~* ${rights}`] });
  await using opened = await openShared(redis, {
    servers: portOf(redis.port),
    username: 'limited',
    password: 'x',
  });
  await askAll(start(opened), spellings('alice', 20));
  await opened.quiet();
  expect(await redis.client().dbsize()).toBe(0);
  expect(opened.errors).toHaveLength(20);
});

test('in a cluster the answers of one user are few, whichever nodes they are on', async () => {
  await using cluster = await startCluster({ replicasPerMaster: 0 });
  const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
  const [first] = cluster.nodes;
  if (first === undefined) throw new Error('the cluster has no node');
  await using opened = await openShared(first, {
    servers: { kind: 'cluster', secure: false, nodes },
  });
  const replica = start(opened);
  await askAll(replica, others);
  await askAll(replica, spellings('alice', 100));
  await opened.quiet();
  const records = await Promise.all(cluster.nodes.map((node) => recordsIn(node)));
  expect(records.flat()).toHaveLength(20 + 8);
  expect(opened.errors).toEqual([]);
});

const goodUsers = Array.from({ length: 30 }, (_, n) => `good-${n}`);
const answerTo = (token: string): Decision => {
  if (token.startsWith('good')) return authenticated(token);
  return token.startsWith('bad')
    ? { kind: 'rejected', reason: 'invalid-credentials', subject: 'good-1' }
    : noOpinion;
};

test('a flood of forged tokens, passwords and audiences evicts no good answer and puts nothing into Redis', async () => {
  const memory = createMemoryTier(50);
  const replica = createReplica({ shared: file.opened.redis, memory, answer: answerTo });
  await askAll(replica, goodUsers);
  await file.opened.quiet();
  const keys = (await file.redis.client().keys('*')).sort();
  // There are the answer of each user, and the note of it.
  expect(keys).toHaveLength(goodUsers.length * 2);
  for (let n = 0; n < 300; n += 1)
    await replica.ask(n % 2 === 0 ? `bad ${n}` : `${n}`, n % 3 === 0 ? [] : [`${n}`]);
  await file.opened.quiet();
  expect([memory.entries, replica.asked]).toEqual([goodUsers.length + 50, goodUsers.length + 300]);
  expect((await file.redis.client().keys('*')).sort()).toEqual(keys);
  // Not one good answer is lost, in memory or in Redis.
  const fresh = createReplica({ shared: file.opened.redis, answer: answerTo });
  for (const each of [replica, fresh]) {
    const before = each.asked;
    await askAll(each, goodUsers);
    expect(each.asked).toBe(before);
  }
});
