import { commandCalls, forgetCalls } from '@sallyport/test-servers/redis-command-calls';
import { beforeEach, describe, expect, test } from 'vitest';
import { redisOfFile } from '../shared-redis/testing/redis-of-file.ts';
import {
  createClocks,
  createReplica,
  lifetimes,
  minute,
  noOpinion,
  type ReplicaOptions,
  rejected,
  yes,
} from './testing/cached-replica.ts';
import { recordsIn } from './testing/records.ts';
import { passInRedis } from './testing/redis-time.ts';

const { authenticatedTtl, staleTtl } = lifetimes;
const down = async () => {
  throw new Error('down');
};

const file = redisOfFile();
beforeEach(() => forgetCalls(file.redis));

/** Replicas with one wall clock, each with a memory of its own. */
function setUp(options: ReplicaOptions = {}) {
  const clocks = createClocks();
  const start = () => createReplica({ shared: file.opened.redis, clocks, ...options });
  return {
    one: start(),
    other: start(),
    start,
    /** Time passes for all, once Redis has done what it was told. */
    async pass(time: number) {
      await file.opened.quiet();
      clocks.pass(time);
      await passInRedis(file.redis, time);
    },
  };
}

describe('replicas that share a Redis', () => {
  test('look a token up once, and no replica keeps it longer than from when it was given', async () => {
    const { one, other, start, pass } = setUp();
    await one.ask();
    await pass(2 * minute);
    expect(await other.tell()).toBe('redis: jane');
    expect(await other.tell()).toBe('memory: jane');
    await pass(authenticatedTtl - 2 * minute - 1_000);
    expect([await start().tell(), await other.tell()]).toEqual(['redis: jane', 'memory: jane']);
    await pass(1_000);
    expect([await start().tell(), await other.tell()]).toEqual(['backend: jane', 'redis: jane']);
  });

  test('share no no and no error: Redis is not even told of one that it knew nothing of', async () => {
    const { one, other } = setUp();
    for (const decision of [rejected, noOpinion]) {
      one.answer = () => decision;
      await one.ask(decision.kind);
      expect(await other.tell(decision.kind)).toBe('backend: jane');
    }
    await file.opened.quiet();
    await file.redis.client().flushall();
    one.answer = down;
    await expect(one.ask('error')).rejects.toThrow('down');
    await file.opened.quiet();
    expect(await recordsIn(file.redis)).toEqual([]);
    expect((await commandCalls(file.redis)).of('del')).toBe(0);
  });

  test('take the last yes of another for their own while the backend is down, in its time', async () => {
    const { one, start, pass } = setUp();
    await one.ask();
    await pass(authenticatedTtl + staleTtl - 10_000);
    const later = start();
    later.answer = down;
    expect(await later.tell()).toBe('stale: jane');
    expect(later.looks).toEqual(['memory miss', 'redis miss', 'redis stale']);
    await pass(10_000);
    await expect(later.ask()).rejects.toThrow('down');
  });

  test.each([rejected, noOpinion])('forget a yes by the later answer of any of them: $kind', async (later) => {
    const { one, other, start, pass } = setUp();
    await one.ask();
    await pass(authenticatedTtl);
    other.answer = () => later;
    await other.ask();
    await file.opened.quiet();
    expect(await recordsIn(file.redis)).toEqual([]);
    const third = start();
    third.answer = down;
    await expect(third.ask()).rejects.toThrow('down');
  });

  test('do not take for an answer what was given before a no that Redis has not been told of', async () => {
    const { one, start, pass } = setUp();
    await one.ask();
    await file.opened.quiet();
    const [key = ''] = await recordsIn(file.redis);
    const stored = (await file.redis.client().get(key)) ?? '';
    await pass(authenticatedTtl);
    one.answer = () => rejected;
    await one.ask();
    await file.opened.quiet();
    // As if it had not been deleted.
    await file.redis.client().set(key, stored, 'PX', staleTtl);
    await pass(lifetimes.rejectedTtl);
    one.answer = down;
    await expect(one.ask()).rejects.toThrow('down');
    expect(one.looks.at(-1)).toBe('redis invalid');
    // Of another replica nobody could know better.
    const other = start();
    other.answer = down;
    expect(await other.tell()).toBe('stale: jane');
  });

  test('keep nothing in Redis where the config says memory', async () => {
    const { one, other } = setUp({ settings: { store: 'memory' } });
    await one.ask();
    await file.opened.quiet();
    expect(await recordsIn(file.redis)).toEqual([]);
    expect(await other.tell()).toBe('backend: jane');
    expect((await commandCalls(file.redis)).of('getrange')).toBe(0);
  });

  test('ask Redis once for one lookup, however many wait', async () => {
    const { one, other } = setUp();
    const all = await Promise.all(Array.from({ length: 500 }, () => one.ask()));
    expect(new Set(all.map(({ decision }) => decision))).toEqual(new Set([yes()]));
    expect([one.asked, (await commandCalls(file.redis)).of('getrange')]).toEqual([1, 1]);
    expect(one.looks.filter((look) => look === 'coalesced')).toHaveLength(499);
    await file.opened.quiet();
    const found = await Promise.all(Array.from({ length: 500 }, () => other.tell()));
    expect(new Set(found)).toEqual(new Set(['redis: jane']));
    expect([other.asked, (await commandCalls(file.redis)).of('getrange')]).toEqual([0, 2]);
  });
});

describe('what was revoked', () => {
  test('is not taken from Redis, wherever it was asked for', async () => {
    const { one, other } = setUp();
    await one.ask();
    await file.opened.quiet();
    other.revocations.revision = 1;
    other.revocations.revoked.set('jane', 1);
    expect(await other.tell()).toBe('backend: jane');
    expect(other.looks).toEqual(['memory miss', 'redis invalid']);
    await file.opened.quiet();
    // That one was given since. Who does not know of the revocation yet leaves it.
    expect(await one.tell()).toBe('memory: jane');
    const behind = setUp().one;
    expect(await behind.tell()).toBe('backend: jane');
    expect(behind.looks).toEqual(['memory miss', 'redis invalid']);
  });

  test('during its lookup is not stored in Redis either', async () => {
    const { one } = setUp();
    one.answer = () => {
      one.revocations.revision = 1;
      one.revocations.revoked.set('jane', 1);
      return yes();
    };
    await one.ask();
    await file.opened.quiet();
    expect(await recordsIn(file.redis)).toEqual([]);
  });

  test('cut off from the list, a yes of Redis is believed for 10 s, and stale all the same', async () => {
    const { one, start, pass } = setUp();
    await one.ask();
    await pass(9_000);
    const [early, late] = [start(), start()];
    for (const each of [early, late]) each.revocations.isCutOff = true;
    expect(await early.tell()).toBe('redis: jane');
    await pass(1_000);
    expect(await late.tell()).toBe('backend: jane');
    early.answer = down;
    expect(await early.tell()).toBe('redis: jane');
    await file.redis.client().flushall();
    await pass(10_000);
    expect(await early.tell()).toBe('stale: jane');
  });
});
