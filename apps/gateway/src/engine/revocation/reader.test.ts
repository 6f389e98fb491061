import { RedisProblem } from '@sallyport/redis-connection';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  keyPrefix,
  type OpenedShared,
  openShared,
} from '../shared-redis/testing/opened-shared-redis.ts';
import { createRevocationList, digestList, type Entry } from './list.ts';
import { placeEntry } from './publish.ts';
import { createRevocationReader, createSharedClock } from './reader.ts';
import { applyChange, changeTowards, readListing } from './redis-list.ts';
import { readReplicas } from './replicas.ts';
import { revocationKeys } from './scripts.ts';

let server: RedisServer;
let opened: OpenedShared;
const keys = revocationKeys(keyPrefix);

beforeAll(async () => {
  server = await startRedis();
  opened = await openShared(server);
});
afterAll(async () => {
  await opened[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await server.client().flushall();
});

interface Differing {
  readonly startsWithoutBlocks?: boolean;
  readonly afterPoll?: () => Promise<void>;
}

/** A gateway whose clock does not run, and whose connection to Redis can be cut. */
function replica(
  replicaId: string,
  of: OpenedShared = opened,
  { startsWithoutBlocks = false, afterPoll }: Differing = {},
) {
  const clock = { now: 50_000, wall: 1_000_000 };
  const clocks = { monotonic: () => clock.now, wall: () => clock.wall };
  const sharedClock = createSharedClock(clocks);
  const list = createRevocationList(sharedClock.now, clocks.wall);
  const adopted: Entry[] = [];
  const foreign: number[] = [];
  const lines: string[] = [];
  const state = { isCut: false };
  const redis: OpenedShared['redis'] = {
    ...of.redis,
    async probe(use, work) {
      if (state.isCut) throw new RedisProblem('connection', 'cut off');
      return of.redis.probe(use, work);
    },
  };
  const log = (_: object, message: string) => void lines.push(message);
  const reader = createRevocationReader({
    redis: () => redis,
    list,
    clocks,
    sharedClock,
    replicaId,
    startsWithoutBlocks: () => startsWithoutBlocks,
    onAdopted: (entry) => adopted.push(entry),
    onForeign: (keys) => foreign.push(keys),
    ...(afterPoll && { afterPoll }),
    logger: { warn: log, info: log },
  });
  return { reader, list, clock, clocks, state, adopted, foreign, lines, sharedClock };
}

async function publish(
  action: Entry['action'],
  name: string,
  of: OpenedShared = opened,
): Promise<Entry> {
  return await writeEntry(of, action, name, true);
}

/** Writes an entry as a command does. @param isWhole whether it says that a list that was not whole is */
async function writeEntry(
  { redis }: OpenedShared,
  action: Entry['action'],
  name: string,
  isWhole: boolean,
): Promise<Entry> {
  const listing = await readListing(redis);
  const until = listing.now + 60_000;
  const { entry, otherEntries } = placeEntry(
    { action, kind: 'user', name, by: 'root', until },
    listing,
  );
  const placed = { ...entry, id: `${action}-${name}` };
  const change = changeTowards([...otherEntries, placed], listing, redis.sealingKeys);
  await applyChange(redis, listing, change, { isWhole });
  return placed;
}

async function applied(replicaId: string): Promise<string | undefined> {
  const { replicas } = await readReplicas(opened.redis);
  return replicas.find(({ id }) => id === replicaId)?.applied;
}

describe('a poll', () => {
  test('merges what is new, and reports that to commands', async () => {
    const { reader, list, adopted } = replica('one');
    // The second poll reports the list that the first one wrote into the new Redis.
    for (let polls = 0; polls < 2; polls++) await reader.poll();
    expect(await applied('one')).toBe(digestList([]));
    const entry = await publish('block', 'jane');
    await reader.poll();
    expect(list.findByUser('jane', [])).toEqual(entry);
    expect(adopted).toEqual([entry]);
    expect(await applied('one')).toBe(digestList([entry]));
  });

  test('reads the whole list when its revision has changed, and only then', async () => {
    const { reader } = replica('one');
    await publish('block', 'jane');
    await reader.poll();
    const before = opened.calls;
    await reader.poll();
    expect(opened.calls - before).toBe(1);
    await publish('block', 'john');
    const between = opened.calls;
    await reader.poll();
    // The poll, the list, and a poll that reports it.
    expect(opened.calls - between).toBe(3);
  });

  test('does not overlap another', async () => {
    const { reader } = replica('one');
    await reader.poll();
    const before = opened.calls;
    await Promise.all([reader.poll(), reader.poll(), reader.poll()]);
    expect(opened.calls - before).toBe(1);
  });

  test('is made by refresh if the last one was over a second ago, even while one from before is in progress', async () => {
    const end = Promise.withResolvers<void>();
    const { reader, list, clock } = replica('one', opened, { afterPoll: () => end.promise });
    const early = reader.poll();
    await waitFor(() => reader.age !== Number.POSITIVE_INFINITY, 'the list to be read');
    const { calls } = opened;
    await reader.refresh();
    expect(opened.calls).toBe(calls);
    await publish('block', 'jane');
    clock.now += 2_000;
    const refreshed = reader.refresh();
    end.resolve();
    await refreshed;
    expect(list.findByUser('jane', [])?.name).toBe('jane');
    await early;
  });

  test('has read the list, whatever becomes of the rest of the poll', async () => {
    const { reader, list } = replica('one', opened, {
      afterPoll: () => Promise.reject(new Error('of ended sessions')),
    });
    const entry = await publish('block', 'jane');
    await reader.poll();
    expect([list.findByUser('jane', []), reader.age, reader.isCutOff]).toEqual([entry, 0, false]);
  });

  test('takes the time from Redis, not from its own clock', async () => {
    const { reader, sharedClock, clocks } = replica('one');
    expect(sharedClock.now()).toBe(clocks.wall());
    await reader.poll();
    const [seconds] = await server.client().time();
    expect(Math.abs(sharedClock.now() - Number(seconds) * 1000)).toBeLessThan(60_000);
  });
});

describe('a list that Redis has lost', () => {
  test.each(['all', 'the revision', 'the list', 'one entry'])(
    '%s is written back by a replica that knows it',
    async (lost) => {
      const knows = replica('one');
      const [jane, john] = [await publish('block', 'jane'), await publish('revoke', 'john')];
      await knows.reader.poll();
      const client = server.client();
      if (lost === 'all') await client.flushall();
      else if (lost === 'the revision') await client.del(keys.revision);
      else if (lost === 'the list') await client.del(keys.list);
      else await client.hdel(keys.list, (await client.hkeys(keys.list))[0] ?? '');
      await knows.reader.poll();
      const fresh = replica('two');
      await fresh.reader.poll();
      expect(fresh.list.entries).toEqual([jane, john]);
      await knows.reader.poll();
      expect(await applied('one')).toBe(digestList([jane, john]));
    },
  );

  test('is written back over what another client has put there, after half a minute', async () => {
    const knows = replica('one');
    const jane = await publish('block', 'jane');
    await knows.reader.poll();
    const [field = ''] = await server.client().hkeys(keys.list);
    await server.client().hset(keys.list, field, 'forged');
    knows.clock.now += 29_999;
    await knows.reader.poll();
    expect((await readListing(opened.redis)).unreadable.count).toBe(1);
    knows.clock.now += 1;
    await knows.reader.poll();
    expect((await readListing(opened.redis)).entries).toEqual([jane]);
  });

  test('is written back by several replicas concurrently, and then not written again', async () => {
    const all = [replica('one'), replica('two'), replica('three')];
    for (const name of ['jane', 'john', 'ada']) await publish('block', name);
    await Promise.all(all.map(({ reader }) => reader.poll()));
    await server.client().flushall();
    for (let round = 0; round < 6; round++)
      await Promise.all(all.map(({ reader }) => reader.poll()));
    const before = opened.calls;
    await Promise.all(all.map(({ reader }) => reader.poll()));
    expect(opened.calls - before).toBe(3);
    expect((await readListing(opened.redis)).entries).toHaveLength(3);
  });
});

test('a superseded entry that is brought back is removed again', async () => {
  const knows = replica('one');
  await publish('block', 'jane');
  const client = server.client();
  const old = await client.hgetall(keys.list);
  const unblock = await publish('unblock', 'jane');
  await knows.reader.poll();
  await client.hset(keys.list, old);
  expect((await readListing(opened.redis)).entries).toHaveLength(2);
  await knows.reader.poll();
  expect((await readListing(opened.redis)).entries).toEqual([unblock]);
  expect(knows.list.findByUser('jane', [])).toBeUndefined();
});

test('an entry that came out of its order is published again, after all others', async () => {
  const knows = replica('one');
  await publish('revoke', 'john');
  await knows.reader.poll();
  const { revision } = knows.list;
  // As of a Redis that was promoted without the last writes, and whose clock is behind.
  await server.client().flushall();
  const listing = await readListing(opened.redis);
  const late = { ...(await publish('revoke', 'jane')), revision: 7, id: 'late' };
  const now = await readListing(opened.redis);
  await applyChange(opened.redis, now, changeTowards([late], now, opened.redis.sealingKeys), {
    isWhole: true,
  });
  expect(listing.entries).toEqual([]);
  await knows.reader.poll();
  expect(knows.list.isRevoked(revision, 'jane', 't')).toBe(true);
  const fresh = replica('two');
  await fresh.reader.poll();
  expect(fresh.list.isRevoked(revision, 'jane', 't')).toBe(true);
  expect(fresh.list.isRevoked(0, 'john', 't')).toBe(true);
});

describe('what another client writes', () => {
  const tag = '0123456789abcdef';
  const junk = (script: string, ...args: string[]) =>
    server.client().eval(script, 1, keys.list, ...args);

  test('is removed some thousand fields at a time, and the list stays in force', async () => {
    const { reader, list, lines } = replica('one');
    const jane = await publish('block', 'jane');
    await reader.poll();
    // Long ended, like fields of a key that no one has any more.
    await junk(`for i = 1, 12000 do redis.call('HSET', KEYS[1], '1.' .. i .. '.${tag}', 'x') end`);
    for (let poll = 0; poll < 4; poll++) await reader.poll();
    expect(await server.client().hlen(keys.list)).toBe(1);
    expect(list.entries).toEqual([jane]);
    expect([reader.isCutOff, lines]).toEqual([false, []]);
    expect(await applied('one')).toBe(digestList([jane]));
  });

  test('is removed as a whole when it is far too much, and the list is written back', async () => {
    const { reader } = replica('one');
    const jane = await publish('block', 'jane');
    await reader.poll();
    await junk(
      `for i = 1, 100001 do redis.call('HSET', KEYS[1], '9999999999999.' .. i .. '.${tag}', 'x') end`,
    );
    for (let poll = 0; poll < 4; poll++) await reader.poll();
    expect((await readListing(opened.redis)).entries).toEqual([jane]);
    expect(await server.client().hlen(keys.list)).toBe(1);
  });

  test('is not read when it is too long: a field, a revision, a replica', async () => {
    const { reader, list } = replica('one');
    const jane = await publish('block', 'jane');
    const client = server.client();
    await client.hset(keys.list, `9999999999999.x.${tag}`, 'x'.repeat(8_193), 'y'.repeat(321), 'x');
    await client.set(keys.revision, 'x'.repeat(1_000_000));
    await client.hset(keys.replicas, 'long', 'x'.repeat(1_025));
    for (let poll = 0; poll < 3; poll++) await reader.poll();
    expect(list.entries).toEqual([jane]);
    expect(await client.hlen(keys.list)).toBe(1);
    expect((await client.get(keys.revision))?.length).toBeLessThan(65);
    expect((await readReplicas(opened.redis)).replicas.map(({ id }) => id)).toEqual(['one']);
  });

  test('confirms nothing: a replica that has missed the entry cannot be made to report that it has it', async () => {
    const { reader, list } = replica('one');
    await publish('block', 'john');
    const client = server.client();
    const before = await client.hgetall(keys.list);
    const jane = await publish('block', 'jane');
    const after = await client.hgetall(keys.list);
    // The entry is missing during the poll, and then replaces another one, so that nothing seems to have changed.
    await client.del(keys.list);
    await client.hset(keys.list, before);
    await reader.poll();
    await client.del(keys.list);
    await client.hset(
      keys.list,
      Object.fromEntries(Object.entries(after).filter(([field]) => !(field in before))),
    );
    await reader.poll();
    const { entries } = await readListing(opened.redis);
    expect([entries, list.findByUser('jane', [])]).toEqual([[jane], undefined]);
    expect(await applied('one')).not.toBe(digestList(entries));
  });
});

test('more than a thousand entries under many keys are written back in parts', async () => {
  await using many = await openShared(server, { keys: 'ABCD' });
  const knows = replica('one', many);
  const entries = Array.from({ length: 1_250 }, (_, index): Entry => {
    const times = { at: 1, until: 9_999_999_999_999, keptUntil: 9_999_999_999_999 };
    return {
      id: `e${index}`,
      action: 'block',
      kind: 'user',
      name: `user-${index}`,
      revision: index + 1,
      by: 'x',
      ...times,
    };
  });
  knows.list.merge(entries);
  for (let poll = 0; poll < 8; poll++) await knows.reader.poll();
  const fresh = replica('two', many);
  await fresh.reader.poll();
  expect(fresh.list.entries).toHaveLength(1_250);
});

describe('cut off', () => {
  test('is a replica that has not polled for more than a second', async () => {
    const { reader, clock, state } = replica('one');
    expect([reader.isCutOff, reader.age]).toEqual([true, Number.POSITIVE_INFINITY]);
    await reader.poll();
    expect([reader.isCutOff, reader.age]).toEqual([false, 0]);
    state.isCut = true;
    clock.now += 1_000;
    await reader.poll();
    expect([reader.isCutOff, reader.age]).toEqual([false, 1_000]);
    clock.now += 1;
    expect(reader.isCutOff).toBe(true);
    state.isCut = false;
    await reader.poll();
    expect(reader.isCutOff).toBe(false);
  });

  test('is logged once, with the reason, and so is its end', async () => {
    const { reader, clock, state, lines } = replica('one');
    await reader.poll();
    state.isCut = true;
    clock.now += 2_000;
    for (let poll = 0; poll < 3; poll++) await reader.poll();
    state.isCut = false;
    for (let poll = 0; poll < 3; poll++) await reader.poll();
    expect(lines).toEqual([
      expect.stringMatching(
        /^cut off from the revocation list: cached answers are used for 10s at most/,
      ),
      'the revocation list is read again',
    ]);
  });

  test('keeps the known blocks', async () => {
    const { reader, list, clock, state } = replica('one');
    await publish('block', 'jane');
    await reader.poll();
    state.isCut = true;
    clock.now += 5_000;
    await reader.poll();
    expect(list.findByUser('jane', [])).toBeDefined();
    // Both clocks decide: Redis' clock goes on with the monotonic one.
    clock.now += 60_000;
    expect(list.findByUser('jane', [])).toBeDefined();
    clock.wall = Date.now() + 120_000;
    expect(list.findByUser('jane', [])).toBeUndefined();
  });

  test('is no replica whose Redis takes no writes', async () => {
    await server.client().config('SET', 'maxmemory', '1');
    try {
      const { reader } = replica('one');
      await reader.poll();
      expect(reader.isCutOff).toBe(false);
    } finally {
      await server.client().config('SET', 'maxmemory', '0');
    }
  });
});

describe('who is blocked', () => {
  const unknown = expect.stringMatching(
    /^cut off from the revocation list: .*, and no one is let in$/,
  );
  const ignored = expect.stringMatching(
    /^cut off from the revocation list: .*, so blocked users are let in$/,
  );

  test('is unknown from a start without Redis until the list is read, and the log says what that means', async () => {
    await publish('block', 'jane');
    const { reader, state, lines, list } = replica('one');
    state.isCut = true;
    await reader.begin();
    expect([reader.isUnknown, lines]).toEqual([true, [unknown]]);
    state.isCut = false;
    await reader.poll();
    expect([reader.isUnknown, list.blocks.map(({ name }) => name)]).toEqual([false, ['jane']]);
    // An outage later is another thing.
    state.isCut = true;
    await reader.poll();
    expect(reader.isUnknown).toBe(false);
  });

  const empty = expect.stringMatching(
    /^the cache Redis has no revocation list, since it is new or lost its data: .* no one is let in/,
  );

  test.each(['was away at the start', 'is there at the start'])(
    'is unknown while Redis has no list, and %s, until a replica that knows it writes it',
    async (when) => {
      const known = replica('two');
      await publish('block', 'jane');
      await known.reader.poll();
      await server.client().flushall();
      const { reader, state, clock, lines, list } = replica('one');
      state.isCut = when === 'was away at the start';
      await reader.begin();
      state.isCut = false;
      await reader.poll();
      clock.now += 3_600_000;
      await reader.poll();
      expect([reader.isUnknown, reader.age, lines.at(-1)]).toEqual([
        true,
        Number.POSITIVE_INFINITY,
        empty,
      ]);
      await known.reader.poll();
      await reader.poll();
      expect([reader.isUnknown, reader.age, lines.at(-1)]).toEqual([
        false,
        0,
        'the revocation list is read again',
      ]);
      expect(list.blocks.map(({ name }) => name)).toEqual(['jane']);
    },
  );

  test('is unknown where only commands have written, which know no more, until one says that the list begins anew', async () => {
    const { reader, list, clock } = replica('one');
    await reader.begin();
    await writeEntry(opened, 'block', 'jane', false);
    clock.now += 3_600_000;
    await reader.poll();
    expect([reader.isUnknown, list.blocks.map(({ name }) => name)]).toEqual([true, ['jane']]);
    await writeEntry(opened, 'revoke', 'all', true);
    await reader.poll();
    expect(reader.isUnknown).toBe(false);
  });

  test('is known at the next start after a replica that knew of no block, and where a reload adds Redis', async () => {
    const first = replica('one');
    await first.reader.poll();
    await first.reader.leave();
    const { reader, lines } = replica('two');
    await reader.begin();
    expect([reader.isUnknown, lines]).toEqual([false, []]);
    const added = replica('three');
    added.state.isCut = true;
    await added.reader.poll();
    expect([added.reader.isUnknown, added.lines]).toEqual([false, [ignored]]);
  });

  test('is unknown after a pause of over a minute, until a poll that began afterwards has ended, even without an answer', async () => {
    const { reader, clock, state } = replica('one');
    await reader.poll();
    clock.now += 60_000;
    expect(reader.isUnknown).toBe(false);
    // A poll that began before the pause ends after it.
    const late = reader.poll();
    clock.now += 60_001;
    expect(reader.isUnknown).toBe(true);
    const next = reader.poll();
    await Promise.all([late, next]);
    expect(reader.isUnknown).toBe(true);
    await reader.poll();
    expect(reader.isUnknown).toBe(false);
    // An outage is not a pause, however long it is: no replica may lock everyone out.
    state.isCut = true;
    for (let polls = 0; polls < 100; polls++) {
      clock.now += 2_000;
      await reader.poll();
    }
    expect([reader.isUnknown, reader.isCutOff]).toEqual([false, true]);
    clock.now += 60_001;
    expect(reader.isUnknown).toBe(true);
    await reader.poll();
    expect(reader.isUnknown).toBe(false);
  });

  test('does not matter where startWithoutBlocks says so', async () => {
    const { reader, state, clock, lines } = replica('one', opened, { startsWithoutBlocks: true });
    state.isCut = true;
    await reader.begin();
    expect([reader.isUnknown, lines]).toEqual([false, [ignored]]);
    // After the time in which other replicas would have written the list, this one does: then others can start too.
    state.isCut = false;
    await reader.poll();
    clock.now += 2_000;
    for (let polls = 0; polls < 2; polls++) await reader.poll();
    const started = replica('two');
    await started.reader.begin();
    expect([reader.isUnknown, started.reader.isUnknown, lines.slice(1)]).toEqual([
      false,
      false,
      [
        expect.stringMatching(
          /: blocked users are let in, as cache.redis.startWithoutBlocks says$/,
        ),
        'the revocation list is read again',
      ],
    ]);
    clock.now += 120_000;
    expect(reader.isUnknown).toBe(false);
  });
});

describe('the change of a sealing key', () => {
  test('loses no block, however far each replica has come', async () => {
    const stages = await Promise.all(
      ['A', 'AB', 'BA', 'B'].map((letters) => openShared(server, { keys: letters })),
    );
    const [a, ab, ba, b] = stages as [OpenedShared, OpenedShared, OpenedShared, OpenedShared];
    const jane = await publish('block', 'jane', a);
    const first = replica('one', a);
    await first.reader.poll();
    // One replica that knows both is enough for all that know one of them.
    await replica('two', ab).reader.poll();
    const last = replica('three', b);
    await last.reader.poll();
    expect(last.list.findByUser('jane', [])).toEqual(jane);
    const john = await publish('block', 'john', ba);
    await first.reader.poll();
    expect(first.list.findByUser('john', [])).toEqual(john);
    for (const one of stages) await one[Symbol.asyncDispose]();
  });

  test('that is not finished is logged, and a replica reports only what its keys open', async () => {
    await using other = await openShared(server, { keys: 'B' });
    const jane = await publish('block', 'jane', other);
    const { reader, lines } = replica('one');
    for (let poll = 0; poll < 3; poll++) await reader.poll();
    expect(lines).toEqual([expect.stringContaining('sealingKeys')]);
    expect(await applied('one')).toBe(digestList([]));
    const john = await publish('block', 'john');
    await reader.poll();
    expect(await applied('one')).toBe(digestList([john]));
    expect(reader.isCutOff).toBe(false);
    expect((await readListing(other.redis)).entries).toEqual([jane]);
  });
});

test('a replica that leaves is not waited for', async () => {
  const { reader } = replica('one');
  await reader.poll();
  expect(await server.client().hexists(keys.replicas, 'one')).toBe(1);
  await reader.leave();
  expect(await server.client().hexists(keys.replicas, 'one')).toBe(0);
});
