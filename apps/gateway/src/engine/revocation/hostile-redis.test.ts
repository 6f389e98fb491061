import { setTimeout } from 'node:timers/promises';
import { startRedis } from '@sallyport/test-servers/redis';
import { startCluster } from '@sallyport/test-servers/redis-cluster';
import { describe, expect, test } from 'vitest';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { type OpenedShared, openShared } from '../shared-redis/testing/opened-shared-redis.ts';
import { redisOfFile } from '../shared-redis/testing/redis-of-file.ts';
import { publishAndConfirm } from './confirmation.ts';
import { selectBlocks } from './list.ts';
import { type Draft, placeEntry } from './publish.ts';
import { createSharedRevocations } from './reader.ts';
import {
  applyChange,
  changeTowards,
  createEntryId,
  type Listing,
  readListing,
} from './redis-list.ts';
import { revocationKeys } from './scripts.ts';

const keys = revocationKeys('sallyport:');
const clocks = { monotonic: () => performance.now(), wall: () => Date.now() };

const draft =
  (action: Draft['action'], name = 'jane') =>
  ({ now }: Listing): Draft => ({ action, kind: 'user', name, by: 'ada', until: now + 60_000 });

/** Makes a gateway that polls only when the test asks for it. */
function replica(replicaId: string, { redis }: OpenedShared, ownClocks = clocks) {
  const logged = { foreign: 0, lines: [] as string[] };
  const log = (_: object, message: string) => void logged.lines.push(message);
  const shared = createSharedRevocations({
    redis: () => redis,
    clocks: ownClocks,
    replicaId,
    startsWithoutBlocks: () => true,
    onAdopted: () => undefined,
    onForeign: (count) => {
      logged.foreign += count;
    },
    logger: { warn: log, info: log },
  });
  return { ...shared, logged };
}

/** Adds an entry without the wait of a command, which gives replicas time to write back what an empty list has lost. */
async function begin({ redis }: OpenedShared, next: ReturnType<typeof draft>): Promise<void> {
  const listing = await readListing(redis);
  const { entry, otherEntries } = placeEntry(next(listing), listing);
  const target = [...otherEntries, { ...entry, id: createEntryId() }];
  await applyChange(redis, listing, changeTowards(target, listing, redis.sealingKeys), {
    isWhole: true,
  });
}

/** Runs a command while replicas poll every 20 ms. */
async function publishBeside(
  { redis }: OpenedShared,
  replicas: readonly ReturnType<typeof replica>[],
  next: ReturnType<typeof draft>,
) {
  const published = publishAndConfirm(redis, next, {
    wait: 20_000,
    signal: new AbortController().signal,
  });
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  published.then(over, over);
  while (!isOver)
    await Promise.all([setTimeout(20), ...replicas.map(({ reader }) => reader.poll())]);
  return published;
}

const names = async ({ redis }: OpenedShared) =>
  selectBlocks(await readListing(redis)).map(({ name }) => name);

const types = {
  string: ['SET', 'x'],
  hash: ['HSET', 'field', 'x'],
  list: ['RPUSH', 'x'],
  set: ['SADD', 'x'],
  zset: ['ZADD', '1', 'x'],
  stream: ['XADD', '*', 'field', 'x'],
} as const;

describe.each(['redis-server', 'valkey-server'] as const)(
  'a key of another type in %s',
  (program) => {
    const file = redisOfFile({ program });

    test('is removed at the next poll and counted; the list is written back, and no replica is cut off', async () => {
      const { redis: server, opened } = file;
      const clock = { now: 50_000 };
      const own = { ...clocks, monotonic: () => clock.now };
      const replicas = [replica('one', opened, own), replica('two', opened, own)];
      const pollAll = () => {
        // A replica that fails twice in a row is cut off.
        clock.now += 600;
        return Promise.all(replicas.map(({ reader }) => reader.poll()));
      };
      const client = server.client();
      await begin(opened, draft('block'));
      await pollAll();
      let written = 0;
      for (const key of [keys.revision, keys.list, keys.replicas]) {
        for (const [type, [command, ...words]] of Object.entries(types)) {
          if (type === (key === keys.revision ? 'string' : 'hash')) continue;
          await client.del(key);
          await client.call(command, key, ...words);
          written += 1;
          for (let poll = 0; poll < 3; poll++) await pollAll();
          const found = await Promise.all([
            names(opened),
            client.type(key),
            client.hlen(keys.replicas),
          ]);
          expect([key, type, ...found]).toEqual([
            key,
            type,
            ['jane'],
            key === keys.revision ? 'string' : 'hash',
            2,
          ]);
        }
      }
      for (const { list, revocations } of replicas) {
        expect([list.blocks.map(({ name }) => name), revocations.isCutOff]).toEqual([
          ['jane'],
          false,
        ]);
      }
      expect(replicas.reduce((sum, { logged }) => sum + logged.foreign, 0)).toBe(written);
      // There is one line in 10 s for each replica, and none about being cut off.
      const lines = replicas.flatMap(({ logged }) => logged.lines);
      expect(lines.filter((line) => !line.startsWith('removed keys of another type'))).toEqual([]);
      expect(lines.length).toBeGreaterThan(0);
      expect(lines.length).toBeLessThan(written);
    });

    test('that was written after a poll is removed and counted, and its data is written back', async () => {
      const { redis: server, opened } = file;
      const client = server.client();
      // Another client writes before the replicas are read, before the list is read, before the list is changed, and before
      // the notes of the replicas are written back. The call without a write is the second poll.
      const writes = [
        () => client.set(keys.replicas, 'x'),
        () => client.set(keys.list, 'x'),
        () => client.multi().del(keys.revision).hset(keys.revision, 'field', 'x').exec(),
        undefined,
        () => client.set(keys.replicas, 'x'),
      ];
      let call = Number.NEGATIVE_INFINITY;
      const redis: ProbedRedis = {
        ...opened.redis,
        async probe(...args) {
          await writes[call]?.();
          call += 1;
          return opened.redis.probe(...args);
        },
      };
      const clock = { now: 50_000 };
      const one = replica('one', { ...opened, redis }, { ...clocks, monotonic: () => clock.now });
      await begin(opened, draft('block'));
      await one.reader.poll();
      await begin(opened, draft('block', 'john'));
      // The call -1 is the first poll. The replicas are read after it, since they were last read more than 5 s ago.
      call = -1;
      clock.now += 6_000;
      await one.reader.poll();
      expect([call >= writes.length, one.logged.foreign]).toEqual([true, 4]);
      for (let poll = 0; poll < 3; poll++) {
        clock.now += 6_000;
        await one.reader.poll();
      }
      expect([await names(opened), await client.hlen(keys.replicas)]).toEqual([['jane'], 1]);
      expect(one.logged.foreign).toBe(4);
    });

    test('is not counted when a reply names a forged number of them', async () => {
      const { opened } = file;
      const forge = (reply: unknown) =>
        Array.isArray(reply) ? reply.with(3, -7) : typeof reply === 'number' ? 7 : reply;
      const redis = {
        ...opened.redis,
        probe: async (...args: Parameters<ProbedRedis['probe']>) =>
          forge(await opened.redis.probe(...args)),
      } as ProbedRedis;
      const one = replica('one', { ...opened, redis });
      await one.reader.poll();
      await begin(opened, draft('block'));
      await one.reader.poll();
      expect(one.list.blocks.map(({ name }) => name)).toEqual(['jane']);
      expect(one.logged).toEqual({ foreign: 0, lines: [] });
    });

    test.each([keys.revision, keys.list, keys.replicas])(
      'is removed by a command, too: %s',
      async (key) => {
        const { redis: server, opened } = file;
        const one = replica('one', opened);
        await begin(opened, draft('block'));
        await one.reader.poll();
        await server.client().del(key);
        if (key === keys.revision) await server.client().hset(key, 'field', 'x');
        else await server.client().set(key, 'x');
        const { confirmation } = await publishBeside(opened, [one], draft('block', 'john'));
        expect(confirmation.confirmed).toEqual(['one']);
        expect(await names(opened)).toEqual(expect.arrayContaining(['jane', 'john']));
      },
    );

    test('that replaces the list before a command changes it makes the command read it again', async () => {
      const { redis: server, opened } = file;
      await begin(opened, draft('block'));
      const { redis } = opened;
      const listing = await readListing(redis);
      await server.client().set(keys.list, 'x');
      // What this change leaves out, since it was there before, is not there any more.
      const change = { remove: [], add: new Map([['field', 'x']]) };
      expect(await applyChange(redis, listing, change, { isWhole: true })).toBeUndefined();
      expect(await server.client().exists(keys.list)).toBe(0);
    });

    test('that a read-only Redis cannot remove reads as an empty one, and no replica is cut off', async () => {
      await using server = await startRedis({ program });
      await using opened = await openShared(server);
      const one = replica('one', opened);
      await begin(opened, draft('block'));
      await one.reader.poll();
      await server.client().set(keys.list, 'x');
      await server.client().replicaof('127.0.0.1', '1');
      const before = clocks.monotonic();
      await one.reader.poll();
      expect(one.reader.age).toBeLessThanOrEqual(clocks.monotonic() - before);
      expect([one.list.blocks.length, one.logged]).toEqual([1, { foreign: 0, lines: [] }]);
    });
  },
);

test('a list with more bytes than one reply may have is removed and written back, and no replica is cut off', async () => {
  await using server = await startRedis();
  await using opened = await openShared(server);
  const one = replica('one', opened);
  await begin(opened, draft('block'));
  await one.reader.poll();
  // 72 MB: a connection takes 64 MiB.
  const fill =
    "for i = 1, 9000 do redis.call('HSET', KEYS[1], '1.' .. i, string.rep('x', 8000)) end";
  await server.client().eval(fill, 1, keys.list);
  const before = clocks.monotonic();
  for (let poll = 0; poll < 3; poll++) await one.reader.poll();
  expect(one.reader.age).toBeLessThanOrEqual(clocks.monotonic() - before);
  expect([await names(opened), await server.client().hlen(keys.list)]).toEqual([['jane'], 1]);
  expect(one.logged.lines).toEqual([]);
});

test('junk that looks like entries of an unknown key is read at most every 30 s', async () => {
  await using server = await startRedis();
  await using opened = await openShared(server);
  const clock = { now: 50_000 };
  const one = replica('one', opened, { ...clocks, monotonic: () => clock.now });
  await begin(opened, draft('block'));
  await one.reader.poll();
  const readsIn = async (milliseconds: number) => {
    const before = opened.calls;
    const polls = milliseconds / 500;
    for (let poll = 0; poll < polls; poll++) {
      clock.now += 500;
      await one.reader.poll();
    }
    return opened.calls - before - polls;
  };
  // The reports of other replicas are read more often.
  const without = await readsIn(30_000);
  await server.client().hset(keys.list, '9999999999999999.junk.0123456789abcdef', 'x');
  await readsIn(1_000);
  expect(await readsIn(30_000)).toBeLessThanOrEqual(without + 1);
});

/** Redis is over this limit even when it is empty. */
const full = ['SET', 'maxmemory', '1'] as const;

describe.each(['redis-server', 'valkey-server'] as const)(
  'a %s whose memory is full',
  (program) => {
    test('still takes each entry, and all replicas confirm it', async () => {
      await using server = await startRedis({ program });
      await using opened = await openShared(server);
      const [one, two] = [replica('one', opened), replica('two', opened)];
      await begin(opened, draft('block', 'john'));
      await one.reader.poll();
      await server.client().config(...full);
      await expect(server.client().set('other', 'x')).rejects.toThrow('OOM');
      for (const action of ['block', 'unblock', 'revoke'] as const) {
        const { confirmation, isAboveLimit, entry } = await publishBeside(
          opened,
          [one, two],
          draft(action),
        );
        expect([action, confirmation, isAboveLimit]).toMatchObject([
          action,
          { confirmed: ['one', 'two'], unconfirmed: [], longSilent: [] },
          true,
        ]);
        expect([one.list.entries, two.list.entries]).toEqual([
          expect.arrayContaining([entry]),
          expect.arrayContaining([entry]),
        ]);
        expect(await names(opened)).toEqual(action === 'block' ? ['jane', 'john'] : ['john']);
      }
      // A replica writes back above the limit, too.
      await server.client().del(keys.revision, keys.list);
      await one.reader.poll();
      expect(await names(opened)).toEqual(['john']);
      expect([one, two].flatMap(({ logged }) => logged.lines)).toEqual([]);
    });
  },
);

test('a cluster whose memory is full takes entries, too', async () => {
  await using cluster = await startCluster({ replicasPerMaster: 0 });
  const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
  await using opened = await openShared(cluster.nodes[0] as never, {
    servers: { kind: 'cluster', secure: false, nodes },
  });
  const one = replica('one', opened);
  await one.reader.poll();
  await begin(opened, draft('block', 'john'));
  for (const node of cluster.nodes) await node.client().config(...full);
  const { confirmation, isAboveLimit } = await publishBeside(opened, [one], draft('block'));
  expect([confirmation.confirmed, isAboveLimit]).toEqual([['one'], true]);
  // A key of another type is removed there, too.
  const owner = await cluster.masterOf(keys.list);
  await owner.client().del(keys.list);
  for (const node of cluster.nodes) await node.client().config('SET', 'maxmemory', '0');
  await owner.client().set(keys.list, 'x');
  for (let poll = 0; poll < 2; poll++) await one.reader.poll();
  expect(await names(opened)).toEqual(['jane', 'john']);
});
