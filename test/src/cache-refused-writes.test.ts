import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cutConnections, errorsOf, type Faults, saidBy, startFaults, untilShared } from './testing/cache-faults.ts';
import { untilCached } from './testing/redis-contents.ts';
import { authenticated } from './testing/scripted-backend.ts';
import { randomToken } from './testing/tokens.ts';

type Deed = (redis: RedisServer) => Promise<unknown>;

const set =
  (name: string, value: string): Deed =>
  (redis) =>
    redis.client().config('SET', name, value);

/** A master that is not there: what it has of its own data it goes on telling. */
const follow: Deed = (redis) => redis.client().replicaof('127.0.0.1', '1');
const lead: Deed = (redis) => redis.client().replicaof('NO', 'ONE');

const isBob = { authenticated: true, user: { username: 'bob', groups: [] } };

const refusals = [
  ['full', set('maxmemory', '1'), set('maxmemory', '0')],
  ['a replica', follow, lead],
  ['without the replicas that it needs', set('min-replicas-to-write', '1'), set('min-replicas-to-write', '0')],
] as const;

const losses: readonly (readonly [string, Deed])[] = [
  ['a FLUSHALL', (redis) => redis.client().flushall()],
  ['a restart', (redis) => redis.stop().then(redis.start)],
  ['an end of all connections', cutConnections],
];

describe('a Redis', () => {
  let redis: RedisServer;
  let faults: Faults;
  beforeAll(async () => {
    redis = await startRedis();
    faults = await startFaults({ url: redis.url });
  });
  afterAll(async () => {
    await faults[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  test('that takes no writes still gives what it has, and takes new answers again by itself', async () => {
    const { backend, one, other, measure } = faults;
    await untilShared(faults);
    const opened = () => [one, other].map((gateway) => saidBy(gateway, 'circuit of the cache Redis opened'));
    const before = opened();
    for (const [state, begin, end] of refusals) {
      await redis.client().flushall();
      const token = randomToken();
      backend.answer(token, authenticated('bob'));
      expect(await one.ask(token)).toEqual(isBob);
      await untilCached(redis, 1);
      const errors = await errorsOf(one, 'cache');
      await begin(redis);
      await measure(18);
      expect([state, await faults.isShared()]).toEqual([state, false]);
      expect(await other.ask(token)).toEqual(isBob);
      expect([state, backend.callsOf(token).length]).toEqual([state, 1]);
      // Six of them were positive, and one more of the last. What is not written at once is written behind the reviews.
      await waitFor(async () => (await errorsOf(one, 'cache')) - errors >= 7, 'the errors to be counted');
      await end(redis);
      await untilShared(faults);
    }
    expect(opened()).toEqual(before);
  });

  test('that has lost its answers or its clients changes no answer, and is filled again', async () => {
    const { backend, one, other, measure } = faults;
    for (const [, lose] of losses) {
      const token = randomToken();
      backend.answer(token, authenticated('bob'));
      expect(await one.ask(token)).toEqual(isBob);
      const asking = measure(30);
      await lose(redis);
      await asking;
      expect(await other.ask(token)).toEqual(isBob);
      await untilShared(faults);
    }
  });
});
