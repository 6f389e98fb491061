import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitUntil } from '@sallyport/test-servers/wait-until';
import { describe, expect, test } from 'vitest';
import { createSealingKey } from '../sealing/sealing-key.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { announce } from './announce.ts';
import { readReplicas } from './known-replicas.ts';
import { digestOfList } from './list.ts';
import { type Listing, readListing } from './listing.ts';
import { blocksIn, type Draft } from './place-entry.ts';
import { sealReplica } from './replica.ts';
import { revocationKeys } from './scripts.ts';
import { openRedis, startReplica } from './testing/replicas.ts';

const keys = revocationKeys('sallyport:');
const waiting = { wait: 20_000, signal: new AbortController().signal };
const impatient = { ...waiting, wait: 0 };

const block =
  (name: string, by = 'ada') =>
  ({ now }: Listing): Draft => ({ action: 'block', kind: 'user', name, by, until: now + 60_000 });
const unblock =
  (name: string) =>
  ({ now }: Listing): Draft => ({ action: 'unblock', kind: 'user', name, by: 'eve', until: now + 60_000 });

const blocked = async (redis: ProbedRedis) => blocksIn(await readListing(redis)).map(({ name }) => name);

/** Has something done right after each time that the list was changed. */
function afterChanges(redis: ProbedRedis, then: (change: number) => Promise<unknown>): ProbedRedis {
  let changes = 0;
  let last: unknown;
  return {
    ...redis,
    async probe(use, work) {
      const answer = await redis.probe(use, work);
      if (answer === 1) await then(++changes);
      last = answer;
      return last as typeof answer;
    },
  };
}

/** What a replica would have told of itself so long ago. */
async function writeReplica(server: RedisServer, id: string, silence: number, letter = 'A'): Promise<void> {
  const sealed = sealReplica({ id, applied: 'whatever' }, createSealingKey(Buffer.alloc(32, letter), 'sallyport:'));
  await server.client().hset(keys.replicas, id, `${Date.now() - silence} ${sealed}`);
}

describe('announce', { timeout: 60_000 }, () => {
  test('is confirmed by all replicas once each of them has the entry', async () => {
    await using server = await startRedis();
    await using opened = await openRedis(server.port);
    await using one = await startReplica('one', server.port);
    await using two = await startReplica('two', server.port);
    await using three = await startReplica('three', server.port);
    const { confirmation, entry } = await announce(opened.redis, block('jane'), waiting);
    expect(confirmation).toMatchObject({ confirmed: ['one', 'three', 'two'], unconfirmed: [], gone: [] });
    for (const { list } of [one, two, three]) expect(list.blocks).toEqual([entry]);
    // A list that has been changed before, and by somebody who knows more keys than the replicas.
    await using other = await openRedis(server.port, 'AB');
    expect((await announce(other.redis, block('bob'), waiting)).confirmation.unconfirmed).toEqual([]);
    for (const { list } of [one, two, three]) expect(list.blocks.map(({ name }) => name)).toEqual(['jane', 'bob']);
  });

  test('names those that do not confirm, and forgets those that are long gone', async () => {
    await using server = await startRedis();
    await using opened = await openRedis(server.port);
    await using _one = await startReplica('one', server.port);
    await using _stranger = await startReplica('stranger', server.port, 'B');
    await writeReplica(server, 'behind', 0);
    await writeReplica(server, 'silent', 10_000);
    await writeReplica(server, 'gone', 120_000);
    await writeReplica(server, 'forgotten', 4_000_000);
    const interrupt = new AbortController();
    const announcing = announce(opened.redis, block('jane'), { ...waiting, signal: interrupt.signal });
    await waitUntil(async () => {
      const [{ replicas }, { entries }] = [await readReplicas(opened.redis), await readListing(opened.redis)];
      const digest = digestOfList(entries);
      return entries.length > 0 && replicas.some(({ id, applied }) => id === 'one' && applied === digest);
    }, 'the only one that can confirm it');
    interrupt.abort();
    const { confirmation } = await announcing;
    expect(confirmation.confirmed).toEqual(['one']);
    expect(confirmation.unconfirmed.map(({ id }) => id)).toEqual(['behind', 'silent', 'stranger']);
    expect(confirmation.gone.map(({ id }) => id)).toEqual(['gone']);
    const left = await server.client().hkeys(keys.replicas);
    expect(left.sort()).toEqual(['behind', 'gone', 'one', 'silent', 'stranger']);
  });

  test('waits no longer once it is interrupted, and the entry stays', async () => {
    await using server = await startRedis();
    await using opened = await openRedis(server.port);
    await writeReplica(server, 'silent', 1_000);
    const { confirmation } = await announce(opened.redis, block('jane'), { ...waiting, signal: AbortSignal.abort() });
    expect(confirmation.unconfirmed.map(({ id }) => id)).toEqual(['silent']);
    expect(await blocked(opened.redis)).toEqual(['jane']);
  });

  test('finds in a flushed Redis what the replicas write back', async () => {
    await using server = await startRedis();
    await using opened = await openRedis(server.port);
    await using replica = await startReplica('one', server.port);
    await announce(opened.redis, block('jane'), waiting);
    await server.client().flushall();
    let found: string[] = [];
    await announce(
      opened.redis,
      (listing) => {
        found = blocksIn(listing).map(({ name }) => name);
        return unblock('jane')(listing);
      },
      waiting,
    );
    expect(found).toEqual(['jane']);
    expect(replica.list.blocks).toEqual([]);
  });

  test('does it again when Redis has lost it, and gives up in the end', async () => {
    await using server = await startRedis();
    await using opened = await openRedis(server.port);
    const flush = (until: number) => (change: number) =>
      change > until ? Promise.resolve() : server.client().flushall();
    const { entry } = await announce(afterChanges(opened.redis, flush(2)), block('jane'), waiting);
    expect((await readListing(opened.redis)).entries).toEqual([entry]);
    const always = announce(afterChanges(opened.redis, flush(99)), block('bob'), waiting);
    await expect(always).rejects.toThrow('Redis has lost it 3 times in a row');
  });

  test('does not fight who has overruled it meanwhile', async () => {
    await using server = await startRedis();
    await using opened = await openRedis(server.port);
    const redis = afterChanges(opened.redis, () => announce(opened.redis, unblock('jane'), impatient));
    expect(await announce(redis, block('jane'), impatient)).toMatchObject({
      overruledBy: { action: 'unblock', by: 'eve' },
    });
    expect(await blocked(opened.redis)).toEqual([]);
  });

  test('of ten at a time none is lost, and none has the revision of another', async () => {
    await using server = await startRedis();
    await using opened = await openRedis(server.port);
    await using replica = await startReplica('one', server.port);
    const names = Array.from({ length: 10 }, (_, index) => `user-${index}`);
    const all = await Promise.all(names.map((name) => announce(opened.redis, block(name), waiting)));
    expect(all.flatMap(({ confirmation }) => confirmation.unconfirmed)).toEqual([]);
    expect((await blocked(opened.redis)).sort()).toEqual(names);
    expect(replica.list.blocks.map(({ name }) => name).sort()).toEqual(names);
    expect(new Set(all.map(({ entry }) => entry.revision)).size).toBe(10);
  });

  test('leaves alone what it can not open, and says how much that is', async () => {
    await using server = await startRedis();
    await using stranger = await openRedis(server.port, 'B');
    await using opened = await openRedis(server.port);
    await announce(stranger.redis, block('bob'), impatient);
    expect(await announce(opened.redis, block('jane'), impatient)).toMatchObject({ unreadable: 1 });
    expect(await blocked(opened.redis)).toEqual(['jane']);
    expect(await blocked(stranger.redis)).toEqual(['bob']);
  });
});
