import { commandCalls, forgetCalls } from '@sallyport/test-servers/redis-command-calls';
import { beforeEach, describe, expect, test } from 'vitest';
import { makeFingerprint } from '../../config/authenticators.ts';
import { redisOfFile } from '../shared-redis/testing/redis-of-file.ts';
import {
  authenticated,
  type CachedReplicaOptions,
  createClocks,
  createReplica,
  lifetimes,
  minute,
  noOpinion,
  rejected,
} from './testing/cached-replica.ts';
import { recordsIn } from './testing/records.ts';
import { passInRedis } from './testing/redis-time.ts';

const { authenticatedTtl, staleTtl } = lifetimes;
const down = async () => {
  throw new Error('down');
};

const file = redisOfFile();
beforeEach(() => forgetCalls(file.redis));

/** Makes replicas with one wall clock, each with a memory of its own. */
function startReplicas(options: CachedReplicaOptions = {}) {
  const clocks = createClocks();
  const start = () => createReplica({ shared: file.opened.redis, clocks, ...options });
  return {
    one: start(),
    other: start(),
    start,
    /** Time passes for all, once Redis has done its work. */
    async pass(time: number) {
      await file.opened.quiet();
      clocks.pass(time);
      await passInRedis(file.redis, time);
    },
  };
}

describe('replicas that share a Redis', () => {
  test('look a token up once, and no replica caches it longer than from when it was given', async () => {
    const { one, other, start, pass } = startReplicas();
    await one.ask();
    await pass(2 * minute);
    expect(await other.outcome()).toBe('redis: jane');
    expect(await other.outcome()).toBe('memory: jane');
    await pass(authenticatedTtl - 2 * minute - 1_000);
    expect([await start().outcome(), await other.outcome()]).toEqual([
      'redis: jane',
      'memory: jane',
    ]);
    await pass(1_000);
    expect([await start().outcome(), await other.outcome()]).toEqual([
      'backend: jane',
      'redis: jane',
    ]);
  });

  test('share neither refusals nor errors, and do not call Redis for a refusal of a token that it did not have', async () => {
    const { one, other } = startReplicas();
    for (const decision of [rejected, noOpinion]) {
      one.answer = () => decision;
      await one.ask(decision.kind);
      expect(await other.outcome(decision.kind)).toBe('backend: jane');
    }
    await file.opened.quiet();
    await file.redis.client().flushall();
    one.answer = down;
    await expect(one.ask('error')).rejects.toThrow('down');
    await file.opened.quiet();
    expect(await recordsIn(file.redis)).toEqual([]);
    expect((await commandCalls(file.redis)).of('del')).toBe(0);
  });

  test('use the last positive answer of another replica while the backend is down, until it expires', async () => {
    const { one, start, pass } = startReplicas();
    await one.ask();
    await pass(authenticatedTtl + staleTtl - 10_000);
    const later = start();
    later.answer = down;
    expect(await later.outcome()).toBe('stale: jane');
    expect(later.looks).toEqual(['memory miss', 'redis miss', 'redis stale']);
    await pass(10_000);
    await expect(later.ask()).rejects.toThrow('down');
  });

  test('use the younger of two positive answers while the backend is down', async () => {
    const { one, other, pass } = startReplicas();
    await one.ask();
    await pass(authenticatedTtl);
    other.answer = () => authenticated('joan');
    await other.ask();
    await pass(authenticatedTtl);
    for (const each of [one, other]) each.answer = down;
    expect([await one.outcome(), await other.outcome()]).toEqual(['stale: joan', 'stale: joan']);
    expect(one.looks.at(-1)).toBe('redis stale');
  });

  test('drop a positive entry that comes back while the backend is asked', async () => {
    const { one, pass } = startReplicas();
    await one.ask();
    await file.opened.quiet();
    const [key = ''] = await recordsIn(file.redis);
    const stored = (await file.redis.client().getdel(key)) ?? '';
    await pass(authenticatedTtl);
    one.answer = async () => {
      await file.redis.client().set(key, stored, 'PX', staleTtl);
      return rejected;
    };
    await one.ask();
    await file.opened.quiet();
    expect(await recordsIn(file.redis)).toEqual([]);
  });

  test('do not use an answer from before a refusal that did not reach Redis', async () => {
    const { one, start, pass } = startReplicas();
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
    // Another replica could not know better.
    const other = start();
    other.answer = down;
    expect(await other.outcome()).toBe('stale: jane');
  });

  test('store nothing in Redis where the config says memory', async () => {
    const { one, other } = startReplicas({ settings: { store: 'memory' } });
    await one.ask();
    await file.opened.quiet();
    expect(await recordsIn(file.redis)).toEqual([]);
    expect(await other.outcome()).toBe('backend: jane');
    expect((await commandCalls(file.redis)).of('getrange')).toBe(0);
  });

  test('ask Redis once for one lookup, however many wait', async () => {
    const { one, other } = startReplicas();
    const all = await Promise.all(Array.from({ length: 50 }, () => one.ask()));
    expect(new Set(all.map(({ decision }) => decision))).toEqual(new Set([authenticated()]));
    expect([one.asked, (await commandCalls(file.redis)).of('getrange')]).toEqual([1, 1]);
    expect(one.looks.filter((look) => look === 'coalesced')).toHaveLength(49);
    await file.opened.quiet();
    const found = await Promise.all(Array.from({ length: 50 }, () => other.outcome()));
    expect(new Set(found)).toEqual(new Set(['redis: jane']));
    expect([other.asked, (await commandCalls(file.redis)).of('getrange')]).toEqual([0, 2]);
  });
});

test('one token has the answers of each authenticator and of each list of audiences, on replicas that ask concurrently', async () => {
  const clocks = createClocks();
  // They have the same options, as two authenticators with one file might.
  const names = ['corp', 'robots', 'corp robots'];
  const start = (name: string) => {
    const plugin = { use: 'x', package: 'x', digest: '' };
    const settings = { name, fingerprint: makeFingerprint(name, plugin, {}) };
    const replica = createReplica({ shared: file.opened.redis, clocks, settings });
    replica.answer = async (token, audiences) => answerOf(name, token, audiences);
    return { name, replica };
  };
  const answerOf = (...question: unknown[]) => authenticated(JSON.stringify(question));
  const lists = [[], ['a'], ['b'], ['a', 'b'], ['a,b'], ['a\nb'], ['', 'a', 'b']];
  const askAll = async (replicas: readonly ReturnType<typeof start>[]) => {
    const reviews = lists.flatMap((audiences) =>
      ['token', 'token\0', 'a', '["a"]'].flatMap((token) =>
        replicas.map(async ({ name, replica }) => {
          const { decision } = await replica.ask(token, audiences);
          expect(decision).toEqual(answerOf(name, token, audiences));
        }),
      ),
    );
    await Promise.all(reviews);
    await file.opened.quiet();
    return reviews.length;
  };
  await askAll([...names, ...names].map(start));
  const later = names.map(start);
  const count = await askAll(later);
  const looks = later.flatMap(({ replica }) => replica.looks);
  expect(looks.filter((look) => look === 'redis hit')).toHaveLength(count);
});

describe('what was revoked', () => {
  test('is not taken from Redis, whichever replica looked it up', async () => {
    const { one, other } = startReplicas();
    await one.ask();
    await file.opened.quiet();
    other.revocations.revision = 1;
    other.revocations.revoked.set('jane', 1);
    expect(await other.outcome()).toBe('backend: jane');
    expect(other.looks).toEqual(['memory miss', 'redis invalid']);
    await file.opened.quiet();
    // That one was given since. Who does not know of the revocation yet leaves it.
    expect(await one.outcome()).toBe('memory: jane');
    const behind = startReplicas().one;
    expect(await behind.outcome()).toBe('backend: jane');
    expect(behind.looks).toEqual(['memory miss', 'redis invalid']);
  });
});
