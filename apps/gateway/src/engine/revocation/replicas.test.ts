import { RedisProblem } from '@sallyport/redis-connection';
import { startCluster } from '@sallyport/test-servers/redis-cluster';
import { describe, expect, test } from 'vitest';
import { createSealingKey } from '../sealing/seal.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { openShared } from '../shared-redis/testing/opened-shared-redis.ts';
import { redisOfFile } from '../shared-redis/testing/redis-of-file.ts';
import { publishAndConfirm } from './confirmation.ts';
import type { Draft } from './publish.ts';
import { createSharedRevocations } from './reader.ts';
import { type Listing, readListing } from './redis-list.ts';
import { hasReplaced, nameReplica, readReplicas, sealApplied } from './replicas.ts';
import { revocationKeys } from './scripts.ts';

const keys = revocationKeys('sallyport:');
const file = redisOfFile();

/** Makes a gateway that polls only when the test asks for it. Its clock does not run. */
function replica(replicaId: string, redis: ProbedRedis) {
  const clock = { now: 50_000 };
  const { reader } = createSharedRevocations({
    redis: () => redis,
    replicaId,
    startsWithoutBlocks: () => true,
    clocks: { monotonic: () => clock.now, wall: () => Date.now() },
    onAdopted: () => undefined,
    onForeign: () => undefined,
    logger: { warn: () => undefined, info: () => undefined },
  });
  return { ...reader, clock };
}

const block =
  (name: string) =>
  ({ now }: Listing): Draft => ({
    action: 'block',
    kind: 'user',
    name,
    by: 'ada',
    until: now + 60_000,
  });

const noted = async (redis: ProbedRedis) =>
  (await readReplicas(redis)).replicas.map(({ id }) => id).sort();

/** Runs a command that waits for no one. While it runs, the replicas poll. @returns all replicas that it names */
async function namedBy(
  redis: ProbedRedis,
  replicas: readonly ReturnType<typeof replica>[],
): Promise<string[]> {
  const publishing = publishAndConfirm(redis, block('jane'), {
    wait: 0,
    signal: new AbortController().signal,
  });
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  publishing.then(over, over);
  while (!isOver) {
    await Promise.all(replicas.map(({ poll }) => poll()));
    await readListing(redis);
  }
  const { confirmed, unconfirmed } = (await publishing).confirmation;
  return [...confirmed, ...unconfirmed.map(({ id }) => id)].sort();
}

/** Notes a replica that many milliseconds ago, as it would have done itself. */
async function note(id: string, silence = 0): Promise<void> {
  const sealed = sealApplied(id, 'whatever', createSealingKey(Buffer.alloc(32, 'A'), 'sallyport:'));
  await file.redis.client().hset(keys.replicas, id, `${Date.now() - silence} ${sealed}`);
}

describe('a command after Redis has lost its data still names a replica that is cut off', () => {
  const all = ['cut-off', 'one', 'two'];

  test.each([
    { name: 'and users are blocked', blocked: ['john'] },
    { name: 'and no user is', blocked: [] },
  ])('$name', async ({ blocked }) => {
    const { redis } = file.opened;
    const [one, two, cutOff] = [
      replica('one', redis),
      replica('two', redis),
      replica('cut-off', redis),
    ];
    for (const { poll } of [one, two, cutOff]) await poll();
    // This is their last poll before the loss.
    for (const { poll } of [one, two]) await poll();
    for (const name of blocked) {
      await file.redis.client().set(keys.revision, 'begun');
      await publishAndConfirm(redis, block(name), { wait: 0, signal: AbortSignal.abort() });
      await Promise.all([one.poll(), two.poll(), cutOff.poll()]);
    }
    await file.redis.client().flushall();
    expect(await namedBy(redis, [one, two])).toEqual(all);
  });

  test('in a cluster', async () => {
    await using cluster = await startCluster({ replicasPerMaster: 0 });
    const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
    const servers = { kind: 'cluster', secure: false, nodes } as const;
    await using opened = await openShared(cluster.nodes[0] as never, { servers });
    const { redis } = opened;
    const [one, two, cutOff] = [
      replica('one', redis),
      replica('two', redis),
      replica('cut-off', redis),
    ];
    for (const { poll } of [one, two, cutOff, one, two]) await poll();
    for (const node of cluster.nodes) await node.client().flushall();
    expect(await namedBy(redis, [one, two])).toEqual(all);
  });

  test('where its memory is full', async () => {
    const { redis } = file.opened;
    const [one, cutOff] = [replica('one', redis), replica('cut-off', redis)];
    for (const { poll } of [one, cutOff, one]) await poll();
    const client = file.redis.client();
    await client.del(keys.replicas);
    await client.config('SET', 'maxmemory', '1');
    await one.poll();
    await client.config('SET', 'maxmemory', '0');
    expect(await noted(redis)).toEqual(['cut-off', 'one']);
  });
});

test('a replica confirms nothing until it has written back the others', async () => {
  const { redis } = file.opened;
  let [calls, maxCalls] = [0, Number.POSITIVE_INFINITY];
  const failing: ProbedRedis = {
    ...redis,
    async probe(use, work) {
      calls += 1;
      if (calls > maxCalls) throw new RedisProblem('connection', 'cut off');
      return redis.probe(use, work);
    },
  };
  const [one, cutOff] = [replica('one', failing), replica('cut-off', redis)];
  for (const { poll } of [cutOff, one, one]) await poll();
  const applied = async () =>
    (await readReplicas(redis)).replicas.find(({ id }) => id === 'one')?.applied;
  expect(await applied()).toMatch(/^[0-9a-f]{64}$/);
  await file.redis.client().del(keys.replicas);
  [calls, maxCalls] = [0, 1];
  await one.poll();
  expect([await applied(), await noted(redis)]).toEqual(['', ['one']]);
  // It is noted now, and reports nothing all the same.
  [calls, maxCalls] = [0, 1];
  await one.poll();
  expect([await applied(), await noted(redis)]).toEqual(['', ['one']]);
  maxCalls = Number.POSITIVE_INFINITY;
  await one.poll();
  expect(await noted(redis)).toEqual(['cut-off', 'one']);
  await one.poll();
  expect(await applied()).toMatch(/^[0-9a-f]{64}$/);
});

describe('a replica finds out that notes were lost', () => {
  /** Calls `around` with each call. */
  const wrapped = (around: (work: () => Promise<unknown>) => Promise<unknown>): ProbedRedis => {
    const { redis } = file.opened;
    return { ...redis, probe: (use, work) => around(() => redis.probe(use, work)) as never };
  };

  test('when the answer is lost by which it would have learned it', async () => {
    let isLost = false;
    const losing = wrapped(async (work) => {
      const answer = await work();
      if (isLost) throw new RedisProblem('timeout', 'no answer in time');
      return answer;
    });
    const [one, cutOff] = [replica('one', losing), replica('cut-off', file.opened.redis)];
    for (const { poll } of [cutOff, one, one]) await poll();
    await file.redis.client().flushall();
    isLost = true;
    await one.poll();
    expect(await noted(file.opened.redis)).toEqual(['one']);
    isLost = false;
    await one.poll();
    expect(await noted(file.opened.redis)).toEqual(['cut-off', 'one']);
  });

  test('between its poll and its look at the others', async () => {
    let [isNext, seen] = [false, 0];
    const flushed = wrapped(async (work) => {
      if (isNext && ++seen === 2) await file.redis.client().flushall();
      return work();
    });
    const [one, cutOff] = [replica('one', flushed), replica('cut-off', file.opened.redis)];
    for (const { poll } of [cutOff, one, one]) await poll();
    one.clock.now += 5_000;
    isNext = true;
    await one.poll();
    expect(seen).toBe(2);
    await one.poll();
    expect(await noted(file.opened.redis)).toEqual(['cut-off', 'one']);
  });
});

describe('a replica brings back no note', () => {
  test('of one that has left', async () => {
    const { redis } = file.opened;
    const [one, other] = [replica('one', redis), replica('other', redis)];
    for (const { poll } of [one, other, one]) await poll();
    await other.leave();
    await one.poll();
    await file.redis.client().flushall();
    await one.poll();
    expect(await noted(redis)).toEqual(['one']);
  });

  test('that is not remembered any more, or has a time that no replica can have', async () => {
    const { redis } = file.opened;
    const one = replica('one', redis);
    await note('silent', 3_590_000);
    await note('gone', 3_601_000);
    await note('forged', -61_000);
    await file.redis.client().hset(keys.replicas, 'junk', 'x');
    await one.poll();
    await file.redis.client().flushall();
    await one.poll();
    expect(await noted(redis)).toEqual(['one', 'silent']);
  });

  test('in the place of one that is newer', async () => {
    const { redis } = file.opened;
    const [one, two] = [replica('one', redis), replica('two', redis)];
    for (const { poll } of [one, two, one]) await poll();
    await file.redis.client().flushall();
    await two.poll();
    await two.poll();
    const newer = await file.redis.client().hget(keys.replicas, 'two');
    await file.redis.client().hdel(keys.replicas, 'one');
    await one.poll();
    expect(await file.redis.client().hget(keys.replicas, 'two')).toBe(newer);
  });
});

test('the notes of others are read when their number changes, and every 5 s', async () => {
  const { redis } = file.opened;
  const one = replica('one', redis);
  await one.poll();
  const callsOf = async (poll: () => Promise<void>) => {
    const before = file.opened.calls;
    await poll();
    return file.opened.calls - before;
  };
  expect(await callsOf(one.poll)).toBe(1);
  await note('two');
  expect([await callsOf(one.poll), await callsOf(one.poll)]).toEqual([2, 1]);
  one.clock.now += 5_000;
  expect([await callsOf(one.poll), await callsOf(one.poll)]).toEqual([2, 1]);
});

describe('a process that has the address of an earlier one', () => {
  test('has commands not wait for that one, however it has ended', async () => {
    const { redis } = file.opened;
    for (const id of ['host-a-1', 'host-a-2', 'host-b-1', 'other-a-1']) await note(id);
    const next = replica('host-a-3', redis);
    await next.poll();
    expect(await noted(redis)).toEqual([
      'host-a-1',
      'host-a-2',
      'host-a-3',
      'host-b-1',
      'other-a-1',
    ]);
    next.forgetPredecessors('host-a-');
    await next.poll();
    expect(await noted(redis)).toEqual(['host-a-3', 'host-b-1', 'other-a-1']);
    await file.redis.client().flushall();
    await next.poll();
    expect(await noted(redis)).toEqual(['host-a-3', 'host-b-1', 'other-a-1']);
  });

  test('has its host and address: not another port, nor one that is chosen at the start', () => {
    const [one, two] = [1, 2].map(() => nameReplica({ host: '127.0.0.1', port: 8081 }));
    expect(one?.id).not.toBe(two?.id);
    expect(one?.idPrefix).toBe(two?.idPrefix);
    expect(one?.id.startsWith(one?.idPrefix ?? '-')).toBe(true);
    expect(nameReplica({ host: '127.0.0.1', port: 8082 }).idPrefix).not.toBe(one?.idPrefix);
    expect(nameReplica({ host: '', port: 8081 }).idPrefix).not.toBe(one?.idPrefix);
    const unplaced = [1, 2].map(() => nameReplica({ host: '127.0.0.1', port: 0 }));
    expect(unplaced.map(({ idPrefix }) => idPrefix)).toEqual([undefined, undefined]);
    expect(hasReplaced(one?.id ?? '', two?.id ?? '')).toBe(true);
    expect(hasReplaced(unplaced[0]?.id ?? '', unplaced[1]?.id ?? '')).toBe(false);
  });
});
