import { RedisProblem } from '@sallyport/redis-connection';
import type { RedisServer } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { beforeEach, describe, expect, test } from 'vitest';
import { createSealingKey } from '../sealing/seal.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { redisOfFile } from '../shared-redis/testing/redis-of-file.ts';
import { findEntryState, isConfirmed, publishAndConfirm, sortReplicas } from './confirmation.ts';
import { digestList, type Entry, selectBlocks } from './list.ts';
import type { Draft } from './publish.ts';
import { type Listing, readListing } from './redis-list.ts';
import { type KnownReplica, readReplicas, sealApplied } from './replicas.ts';
import { revocationKeys } from './scripts.ts';
import { openRedis, startReplica } from './testing/replicas.ts';

const keys = revocationKeys('sallyport:');
const waiting = { wait: 20_000, signal: new AbortController().signal };
const impatient = { ...waiting, wait: 0 };

const file = redisOfFile();
beforeEach(async () => {
  // Where there is a list already, a command does not wait for replicas to write it back.
  await file.redis.client().set(keys.revision, 'begun');
});

const block =
  (name: string, by = 'ada') =>
  ({ now }: Listing): Draft => ({ action: 'block', kind: 'user', name, by, until: now + 60_000 });
const unblock =
  (name: string) =>
  ({ now }: Listing): Draft => ({
    action: 'unblock',
    kind: 'user',
    name,
    by: 'eve',
    until: now + 60_000,
  });

const blocked = async (redis: ProbedRedis) =>
  selectBlocks(await readListing(redis)).map(({ name }) => name);

/** Calls `then` right after each change of the list. */
function afterChanges(redis: ProbedRedis, then: (change: number) => Promise<unknown>): ProbedRedis {
  let changes = 0;
  return {
    ...redis,
    async probe(use, work) {
      const answer = await redis.probe(use, work);
      if (answer === 1) await then(++changes);
      return answer;
    },
  };
}

/** Writes what a replica would have reported that many milliseconds ago. */
async function writeReplica(
  server: RedisServer,
  id: string,
  silence: number,
  letter = 'A',
): Promise<void> {
  const sealed = sealApplied(
    id,
    'whatever',
    createSealingKey(Buffer.alloc(32, letter), 'sallyport:'),
  );
  await server.client().hset(keys.replicas, id, `${Date.now() - silence} ${sealed}`);
}

describe('an entry that is published', () => {
  test('is confirmed by all replicas once each of them has the entry', async () => {
    const { redis: server, opened } = file;
    await using one = await startReplica('one', server.port);
    await using two = await startReplica('two', server.port);
    await using three = await startReplica('three', server.port);
    const { confirmation, entry } = await publishAndConfirm(opened.redis, block('jane'), waiting);
    expect(confirmation).toMatchObject({
      confirmed: ['one', 'three', 'two'],
      unconfirmed: [],
      longSilent: [],
    });
    for (const { list } of [one, two, three]) expect(list.blocks).toEqual([entry]);
    // A list that was changed before, by a command that knows more keys than the replicas.
    await using other = await openRedis(server.port, 'AB');
    expect(
      (await publishAndConfirm(other.redis, block('bob'), waiting)).confirmation.unconfirmed,
    ).toEqual([]);
    for (const { list } of [one, two, three])
      expect(list.blocks.map(({ name }) => name)).toEqual(['jane', 'bob']);
  });

  test('names the replicas that do not confirm it, and forgets those that are long gone', async () => {
    const { redis: server, opened } = file;
    await using _one = await startReplica('one', server.port);
    await using _foreign = await startReplica('foreign', server.port, 'B');
    await writeReplica(server, 'behind', 0);
    await writeReplica(server, 'silent', 10_000);
    await writeReplica(server, 'gone', 120_000);
    await writeReplica(server, 'forgotten', 4_000_000);
    const interrupt = new AbortController();
    const publishing = publishAndConfirm(opened.redis, block('jane'), {
      ...waiting,
      signal: interrupt.signal,
    });
    await waitFor(async () => {
      const [{ replicas }, { entries }] = [
        await readReplicas(opened.redis),
        await readListing(opened.redis),
      ];
      const digest = digestList(entries);
      return (
        entries.length > 0 && replicas.some(({ id, applied }) => id === 'one' && applied === digest)
      );
    }, 'the only replica that can confirm it');
    interrupt.abort();
    const { confirmation } = await publishing;
    expect(confirmation.confirmed).toEqual(['one']);
    expect(confirmation.unconfirmed.map(({ id }) => id)).toEqual(['behind', 'foreign', 'silent']);
    expect(confirmation.longSilent.map(({ id }) => id)).toEqual(['gone']);
    const left = await server.client().hkeys(keys.replicas);
    expect(left.sort()).toEqual(['behind', 'foreign', 'gone', 'one', 'silent']);
  });

  test.each([
    { action: 'factor-invite', kind: 'user', isNew: true },
    { action: 'factor-reset', kind: 'user', isNew: true },
    { action: 'block', kind: 'sid', isNew: true },
    { action: 'block', kind: 'user', isNew: false },
    { action: 'revoke', kind: 'user', isNew: false },
  ] as const)(
    'of the action $action for a $kind is unknown to older gateways: $isNew',
    async ({ action, kind, isNew }) => {
      await file.redis.client().del(keys.list);
      const entry = { action, kind, name: 'jane', by: 'ada' };
      const { hasNewKinds } = await publishAndConfirm(
        file.opened.redis,
        ({ now }) => ({ ...entry, until: now + 60_000 }),
        impatient,
      );
      expect(hasNewKinds).toBe(isNew);
    },
  );

  test('is not waited for after an interrupt, and stays in the list', async () => {
    const { redis: server, opened } = file;
    await writeReplica(server, 'silent', 1_000);
    const { confirmation } = await publishAndConfirm(opened.redis, block('jane'), {
      ...waiting,
      signal: AbortSignal.abort(),
    });
    expect(confirmation.unconfirmed.map(({ id }) => id)).toEqual(['silent']);
    expect(await blocked(opened.redis)).toEqual(['jane']);
  });

  test('waits for as many replicas as must confirm, and no longer for one that was silent for long', async () => {
    const { redis: server, opened } = file;
    await using _one = await startReplica('one', server.port);
    await writeReplica(server, 'gone', 120_000);
    const two = publishAndConfirm(opened.redis, block('jane'), { ...waiting, expect: 2 });
    await waitFor(async () => (await blocked(opened.redis)).length > 0, 'the entry');
    await using _two = await startReplica('two', server.port);
    const { confirmation } = await two;
    expect([confirmation.confirmed, isConfirmed(confirmation)]).toEqual([['one', 'two'], true]);
    const all = (await publishAndConfirm(opened.redis, block('bob'), waiting)).confirmation;
    expect([all.confirmed, isConfirmed(all)]).toEqual([['one', 'two'], false]);
  });

  test('is confirmed by no one where no gateway runs, unless the operator expects none', async () => {
    const publishExpecting = async (expect?: number) => {
      const options = { ...impatient, expect };
      return (await publishAndConfirm(file.opened.redis, block('jane'), options)).confirmation;
    };
    expect(isConfirmed(await publishExpecting())).toBe(false);
    expect(isConfirmed(await publishExpecting(0))).toBe(true);
    expect(isConfirmed(await publishExpecting(1))).toBe(false);
  });

  test('is not confirmed by a replica whose note another client removes during the command', async () => {
    const { redis: server, opened } = file;
    await using _one = await startReplica('one', server.port);
    await writeReplica(server, 'other', 1_000);
    const redis = afterChanges(opened.redis, () => server.client().hdel(keys.replicas, 'other'));
    const options = { ...waiting, wait: 2_000 };
    const { confirmation } = await publishAndConfirm(redis, block('jane'), options);
    expect(confirmation).toMatchObject({
      confirmed: ['one'],
      unconfirmed: [{ id: 'other', absence: 'removed' }],
    });
    expect(isConfirmed(confirmation)).toBe(false);
  });

  test('is not confirmed by a replica whose note another client makes hours old during the command', async () => {
    const { redis: server, opened } = file;
    await using _one = await startReplica('one', server.port);
    await writeReplica(server, 'other', 1_000);
    const redis = afterChanges(opened.redis, () => writeReplica(server, 'other', 7_200_000));
    const options = { ...waiting, wait: 2_000 };
    const { confirmation } = await publishAndConfirm(redis, block('jane'), options);
    expect(confirmation).toMatchObject({ confirmed: ['one'], unconfirmed: [{ id: 'other' }] });
    expect(isConfirmed(confirmation)).toBe(false);
  });

  test('is confirmed by a replica that had it before it left', async () => {
    const { redis: server, opened } = file;
    await using _one = await startReplica('one', server.port);
    const two = await startReplica('two', server.port);
    let calls = 0;
    const redis: ProbedRedis = {
      ...opened.redis,
      async probe(use, work) {
        const answer = await opened.redis.probe(use, work);
        calls += 1;
        return answer;
      },
    };
    const interrupt = new AbortController();
    const expecting = { ...waiting, expect: 3, signal: interrupt.signal };
    const publishing = publishAndConfirm(redis, block('jane'), expecting);
    const has = async () => {
      const [{ replicas }, { entries }] = [
        await readReplicas(opened.redis),
        await readListing(opened.redis),
      ];
      const digest = digestList(entries);
      return entries.length > 0 && replicas.every(({ applied }) => applied === digest);
    };
    await waitFor(has, 'both to have the entry');
    const before = calls;
    await waitFor(() => calls > before + 2, 'the command to see that');
    await two[Symbol.asyncDispose]();
    interrupt.abort();
    expect((await publishing).confirmation.unconfirmed).toEqual([]);
  });

  test('in a Redis without a list is reported, and only "revoke --all" begins a list there', async () => {
    const { redis: server, opened } = file;
    await server.client().flushall();
    const publishOne = async (draft: (listing: Listing) => Draft) =>
      (await publishAndConfirm(opened.redis, draft, impatient)).hadList;
    const all = ({ now }: Listing): Draft => ({
      action: 'revoke',
      kind: 'all',
      name: '',
      by: 'ada',
      until: now + 60_000,
    });
    expect(await publishOne(block('jane'))).toBe(false);
    expect(await publishOne(all)).toBe(false);
    expect(await publishOne(block('eve'))).toBe(true);
    expect(await blocked(opened.redis)).toEqual(['eve', 'jane']);
  });

  test('is made of what the replicas write back to a flushed Redis', async () => {
    const { redis: server, opened } = file;
    await using replica = await startReplica('one', server.port);
    await publishAndConfirm(opened.redis, block('jane'), waiting);
    await server.client().flushall();
    let found: string[] = [];
    await publishAndConfirm(
      opened.redis,
      (listing) => {
        found = selectBlocks(listing).map(({ name }) => name);
        return unblock('jane')(listing);
      },
      waiting,
    );
    expect(found).toEqual(['jane']);
    expect(replica.list.blocks).toEqual([]);
  });

  test('is published again when Redis has lost it, three times at most', async () => {
    const { redis: server, opened } = file;
    const lose = (until: number) => async (change: number) =>
      change > until ? undefined : server.client().del(keys.list);
    const { entry } = await publishAndConfirm(
      afterChanges(opened.redis, lose(2)),
      block('jane'),
      impatient,
    );
    expect((await readListing(opened.redis)).entries).toEqual([entry]);
    const always = publishAndConfirm(afterChanges(opened.redis, lose(99)), block('bob'), waiting);
    await expect(always).rejects.toThrow('Redis lost the entry 3 times in a row');
  });

  test('is not published again when another one has superseded it', async () => {
    const { opened } = file;
    const redis = afterChanges(opened.redis, () =>
      publishAndConfirm(opened.redis, unblock('jane'), impatient),
    );
    expect(await publishAndConfirm(redis, block('jane'), impatient)).toMatchObject({
      supersededBy: { action: 'unblock', by: 'eve' },
    });
    expect(await blocked(opened.redis)).toEqual([]);
  });

  test('next to nine others is not lost, and no two have one revision', async () => {
    const { redis: server, opened } = file;
    await using replica = await startReplica('one', server.port);
    const names = Array.from({ length: 10 }, (_, index) => `user-${index}`);
    const all = await Promise.all(
      names.map((name) => publishAndConfirm(opened.redis, block(name), waiting)),
    );
    expect(all.flatMap(({ confirmation }) => confirmation.unconfirmed)).toEqual([]);
    expect((await blocked(opened.redis)).sort()).toEqual(names);
    expect(replica.list.blocks.map(({ name }) => name).sort()).toEqual(names);
    expect(new Set(all.map(({ entry }) => entry.revision)).size).toBe(10);
  });

  test('leaves entries that it cannot open in the list, and reports their number', async () => {
    const { redis: server, opened } = file;
    await using foreign = await openRedis(server.port, 'B');
    await publishAndConfirm(foreign.redis, block('bob'), impatient);
    expect(await publishAndConfirm(opened.redis, block('jane'), impatient)).toMatchObject({
      unreadable: { count: 1, key: keys.list },
    });
    expect(await blocked(opened.redis)).toEqual(['jane']);
    expect(await blocked(foreign.redis)).toEqual(['bob']);
  });

  test('next to entries that no key opens any more is confirmed by the replicas that have it, and by no other', async () => {
    const { redis: server, opened } = file;
    await using foreign = await openRedis(server.port, 'B');
    await publishAndConfirm(foreign.redis, block('bob'), impatient);
    await server.client().hset(keys.list, '9999999999999999.forged.0123456789abcdef', 'x');
    await using one = await startReplica('one', server.port, 'A');
    await using two = await startReplica('two', server.port, 'AC');
    const { confirmation, unreadable } = await publishAndConfirm(
      opened.redis,
      block('jane'),
      waiting,
    );
    expect(confirmation).toMatchObject({ confirmed: ['one', 'two'], unconfirmed: [] });
    for (const { list } of [one, two])
      expect(list.blocks.map(({ name }) => name)).toEqual(['jane']);
    expect(unreadable.count).toBe(2);
    const { unconfirmed } = (await publishAndConfirm(foreign.redis, block('eve'), impatient))
      .confirmation;
    expect(unconfirmed.map(({ absence }) => absence)).toEqual(['other keys', 'other keys']);
  });

  test('leaves nothing behind that no key opens, when it supersedes one that was also sealed with a dropped key', async () => {
    const { redis: server, opened } = file;
    await using both = await openRedis(server.port, 'BA');
    await publishAndConfirm(both.redis, block('jane'), impatient);
    expect(await server.client().hlen(keys.list)).toBe(2);
    await publishAndConfirm(opened.redis, unblock('jane'), impatient);
    expect((await readListing(opened.redis)).unreadable.count).toBe(0);
    expect(await server.client().hlen(keys.list)).toBe(1);
  });
});

const now = 10_000_000;
const heard = (id: string, silence: number, applied: string | undefined) => ({
  id,
  heardAt: now - silence,
  applied,
});

test('each replica confirms, does not, or does not count, by what it has merged and when it last reported', () => {
  const replicas = [
    heard('b', 0, 'good'),
    heard('a', 60_000, 'good'),
    heard('behind', 5_000, 'older'),
    heard('fresh', 100, ''),
    heard('foreign', 5_000, undefined),
    heard('silent', 5_001, 'older'),
    heard('silent-and-foreign', 60_000, undefined),
    heard('gone', 60_001, 'good'),
    heard('gone-too', 3_600_000, 'older'),
    heard('forgotten', 3_600_001, 'good'),
  ];
  expect(sortReplicas({ now, replicas }, (revision) => revision === 'good')).toEqual({
    now,
    confirmed: ['a', 'b'],
    unconfirmed: [
      { id: 'behind', heardAt: now - 5_000, absence: 'behind' },
      { id: 'foreign', heardAt: now - 5_000, absence: 'other keys' },
      { id: 'fresh', heardAt: now - 100, absence: 'behind' },
      { id: 'silent', heardAt: now - 5_001, absence: 'silent' },
      { id: 'silent-and-foreign', heardAt: now - 60_000, absence: 'silent' },
    ],
    longSilent: [
      { id: 'gone', heardAt: now - 60_001 },
      { id: 'gone-too', heardAt: now - 3_600_000 },
    ],
  });
});

test('a replica whose note is gone is waited for, unless a process that has its address has confirmed', () => {
  const [host, address] = ['host-11111111', 'host-11111111-22222222'];
  const unconfirmedOf = (...replicas: KnownReplica[]) => {
    const isNoted = (id: string) => replicas[0]?.id !== id;
    const isCurrent = (digest: string) => digest === 'good';
    return sortReplicas({ now, replicas }, isCurrent, isNoted).unconfirmed.map(({ id }) => id);
  };
  const ended = heard(`${address}-aaaaaaaa`, 9_000, 'older');
  expect(unconfirmedOf(ended, heard(`${address}-bbbbbbbb`, 0, 'good'))).toEqual([]);
  const behind = heard(`${address}-bbbbbbbb`, 0, 'older');
  expect(unconfirmedOf(ended, behind)).toEqual([ended.id, behind.id]);
  for (const id of [`${host}-33333333-bbbbbbbb`, `${host}-${'b'.repeat(16)}`]) {
    expect(unconfirmedOf(ended, heard(id, 0, 'good'))).toEqual([ended.id]);
  }
  // These are processes whose machines are not known, on a host with such a name.
  const [unknown, other] = ['a', 'b'].map((digit) => `${host}-${digit.repeat(16)}`);
  expect(unconfirmedOf(heard(unknown ?? '', 9, ''), heard(other ?? '', 0, 'good'))).toEqual([
    unknown,
  ]);
});

describe('what became of an entry', () => {
  const draft: Draft = {
    action: 'block',
    kind: 'user',
    name: 'jane',
    by: 'ada',
    until: now + 1_000,
  };
  const entry = (id: string, revision: number, more: Partial<Entry> = {}): Entry => ({
    ...draft,
    id,
    revision,
    at: now - 10,
    until: now + 500,
    keptUntil: more.until ?? now + 500,
    ...more,
  });
  const mine = entry('mine', 10);
  test.each<{ name: string; entries: Entry[]; state: unknown }>([
    { name: 'it is there', entries: [entry('b', 11, { name: 'bob' }), mine], state: 'present' },
    {
      name: 'a replica has replaced it with the same',
      entries: [entry('again', 12)],
      state: 'present',
    },
    { name: 'it is gone', entries: [], state: 'lost' },
    {
      name: 'an older one is back',
      entries: [entry('old', 9, { action: 'unblock' })],
      state: 'lost',
    },
    {
      name: 'an older one is back, with a revision of a clock that was ahead',
      entries: [entry('old', 99, { action: 'unblock', at: 1 })],
      state: 'lost',
    },
    {
      name: 'someone else does the opposite',
      entries: [entry('other', 12, { action: 'unblock' })],
      state: { supersededBy: entry('other', 12, { action: 'unblock' }) },
    },
    {
      name: 'someone else does the same for a shorter time',
      entries: [entry('shorter', 12, { until: now + 499, at: now - 20 })],
      state: 'lost' as const,
    },
    {
      name: 'someone else does the same for a shorter time, later',
      entries: [entry('shorter', 12, { until: now + 499, at: now })],
      state: { supersededBy: entry('shorter', 12, { until: now + 499, at: now }) },
    },
  ])('$name', ({ entries, state }) => {
    expect(findEntryState(mine, entries)).toEqual(state);
  });
});

test('an entry that was written is not reported as undone when Redis fails afterwards', async () => {
  const { opened } = file;
  let isWritten = false;
  const failing: ProbedRedis = {
    ...opened.redis,
    async probe(use, work) {
      if (isWritten) throw new RedisProblem('connection', 'the connection was closed');
      const answer = await opened.redis.probe(use, work);
      isWritten = answer === 1;
      return answer;
    },
  };
  await expect(publishAndConfirm(failing, block('jane'), impatient)).rejects.toThrow(
    'the connection was closed; the entry was written, and it is not known which replicas have it',
  );
  expect(await blocked(opened.redis)).toEqual(['jane']);
});
