import { type FaultPlan, startFaultProxy } from '@sallyport/test-servers/fault-proxy';
import { listenForNoise } from '@sallyport/test-servers/noise';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type OpenedShared,
  openShared,
  portOf,
} from '../shared-redis/testing/opened-shared-redis.ts';
import { redisOfFile } from '../shared-redis/testing/redis-of-file.ts';
import { authenticated, createReplica, noOpinion, rejected } from './testing/cached-replica.ts';
import { recordsIn } from './testing/records.ts';

const down = async () => {
  throw new Error('down');
};
/** Replicas as they start: each with an empty memory. */
const start = ({ redis }: OpenedShared) =>
  createReplica({
    shared: redis,
    answer: (token) => (token.startsWith('no') ? noOpinion : authenticated(`user of ${token}`)),
  });
const outcome = (opened: OpenedShared, token: string) => start(opened).outcome(token);

/** As the gateway does every 500 ms. @returns whether it was answered */
const probe = ({ redis }: OpenedShared) =>
  redis
    .probe('revocations', (client) => client.ping())
    .then(
      () => true,
      () => false,
    );

const circuitOpened = 'circuit of the cache Redis opened: it is down or slow';
const circuitClosed = 'circuit of the cache Redis closed: it has recovered';

let noise: readonly unknown[];
beforeEach(() => {
  noise = listenForNoise();
});
afterEach(() => expect(noise).toEqual([]));

type Deed = (redis: RedisServer) => Promise<unknown>;
const set =
  (name: string, value: string): Deed =>
  (redis) =>
    redis.client().config('SET', name, value);
const acl =
  (...rules: readonly string[]): Deed =>
  (redis) =>
    redis.client().call('ACL', 'SETUSER', 'default', ...rules);

describe('while Redis takes no writes', () => {
  const file = redisOfFile();

  test.each<{ name: string; begin: Deed; end: Deed }>([
    { name: 'it is full', begin: set('maxmemory', '1'), end: set('maxmemory', '0') },
    {
      name: 'it is a replica',
      begin: (redis) => redis.client().replicaof('127.0.0.1', redis.tlsPort),
      end: (redis) => redis.client().replicaof('NO', 'ONE'),
    },
    {
      name: 'it lacks replicas',
      begin: set('min-replicas-to-write', '1'),
      end: set('min-replicas-to-write', '0'),
    },
    { name: 'its ACL allows none', begin: acl('-set', '-del'), end: acl('+set', '+del') },
  ])(
    'what it has is read, nothing throws, and reviews go on with the backend: $name',
    async ({ begin, end }) => {
      const { opened, redis } = file;
      await outcome(opened, 'old');
      await opened.quiet();
      const before = opened.errors.length;
      await begin(redis);
      for (let count = 0; count < 10; count += 1) {
        expect(await outcome(opened, 'old')).toBe('redis: user of old');
        expect(await outcome(opened, `new ${count}`)).toBe(`backend: user of new ${count}`);
        expect(await outcome(opened, `no ${count}`)).toBe('backend: no-opinion');
      }
      await opened.quiet();
      // Each new positive answer could not be stored. Redis answers immediately, so this is no outage.
      expect([opened.errors.slice(before), opened.lines]).toEqual([
        new Array(10).fill('cache'),
        [],
      ]);
      await end(redis);
      await outcome(opened, 'new');
      await opened.quiet();
      expect(await outcome(opened, 'new')).toBe('redis: user of new');
    },
  );

  test('a refusal that it could not take is not overridden by the positive entry that it still has', async () => {
    const { opened, redis } = file;
    const replica = createReplica({ shared: opened.redis });
    await replica.ask();
    await opened.quiet();
    replica.clocks.pass(10 * 60_000);
    await acl('-del')(redis);
    replica.answer = () => rejected;
    await replica.ask();
    await opened.quiet();
    await acl('+del')(redis);
    expect(await recordsIn(redis)).toHaveLength(1);
    replica.answer = down;
    replica.clocks.pass(60_000);
    await expect(replica.ask()).rejects.toThrow('down');
  });
});

describe('while Redis is down', () => {
  test.each<{ name: string; begin: Deed }>([
    { name: 'stopped', begin: (redis) => redis.stop() },
    { name: 'killed', begin: (redis) => redis.kill() },
  ])('reviews go on, and the circuit is open until it has recovered: $name', async ({ begin }) => {
    await using redis = await startRedis();
    await using opened = await openShared(redis);
    await outcome(opened, 'old');
    await opened.quiet();
    await begin(redis);
    for (let count = 0; count < 10; count += 1) {
      expect(await outcome(opened, 'old')).toBe('backend: user of old');
      expect(await outcome(opened, `no ${count}`)).toBe('backend: no-opinion');
    }
    expect(opened.lines).toEqual([circuitOpened]);
    const { calls } = opened;
    await outcome(opened, 'old');
    await opened.quiet();
    expect(opened.calls).toBe(calls);

    await redis.start();
    expect(await outcome(opened, 'old')).toBe('backend: user of old');
    expect(opened.calls).toBe(calls);
    await waitFor(
      async () => (await probe(opened)) && opened.lines.includes(circuitClosed),
      'the circuit to close',
    );
    expect(await outcome(opened, 'old')).toBe('redis: user of old');
    expect(opened.lines).toEqual([circuitOpened, circuitClosed]);
  });

  test('a wrong password is an outage too', async () => {
    await using redis = await startRedis({ password: true });
    await using opened = await openShared(redis, {
      servers: portOf(redis.port),
      password: 'another',
    });
    for (let count = 0; count < 10; count += 1)
      expect(await outcome(opened, 'token')).toBe('backend: user of token');
    for (let count = 0; count < 5; count += 1) expect(await probe(opened)).toBe(false);
    expect(opened.lines).toEqual([circuitOpened]);
    expect(await redis.client().dbsize()).toBe(0);
  });
});

describe('while Redis hangs', () => {
  /** Several authenticators that know no one: each asks Redis, and then deletes, since Redis may hold a positive entry. */
  const createChain = ({ redis }: OpenedShared) =>
    ['0', '1', '2'].map((name) =>
      createReplica({
        shared: redis,
        settings: { name, fingerprint: name },
        answer: () => noOpinion,
      }),
    );
  /** Milliseconds of a call of a review. What hangs takes longer, however busy the machine is. */
  const timeout = 20;

  /** Reviews, so many at a time, until the circuit opens, and some after that. */
  async function reviewUntilOpen(opened: OpenedShared, waiters = 1) {
    const chain = createChain(opened);
    const review = async (token: string) => {
      for (const { outcome } of chain)
        expect(await outcome(token)).toMatch(/^(backend|memory): no-opinion$/);
    };
    let reviews = 0;
    for (; opened.lines.length === 0; reviews += 1)
      await Promise.all(Array.from({ length: waiters }, () => review(`token ${reviews}`)));
    const { calls } = opened;
    for (let count = 0; count < 20; count += 1) await review(`later ${count}`);
    // None of these calls it: there is nothing to wait for.
    expect([opened.lines, opened.calls]).toEqual([[circuitOpened], calls]);
    return { reviews, looks: new Set(chain.flatMap(({ looks }) => looks)) };
  }

  test.each([1, 20])(
    'a few reviews wait for it, and then none does: %i at a time',
    async (waiters) => {
      await using redis = await startRedis();
      await using opened = await openShared(redis, { timeout });
      await redis.hang();
      // Five calls, of which each review makes at least one.
      expect((await reviewUntilOpen(opened, waiters)).reviews).toBeLessThanOrEqual(5);
    },
  );

  test('the same when it stops in the middle of an answer', async () => {
    await using redis = await startRedis();
    const plan: FaultPlan = { kind: 'stall', direction: 'to-client', after: 700 };
    await using proxy = await startFaultProxy({
      target: { host: '127.0.0.1', port: redis.port },
      plan: () => plan,
    });
    await using opened = await openShared(redis, { servers: portOf(proxy.port), timeout });
    expect(await probe(opened)).toBe(true);
    const { looks } = await reviewUntilOpen(opened);
    // Reviews on a busy machine may get no answer within the timeout. The probe above did.
    looks.delete('redis miss');
    expect([...looks].sort()).toEqual(['memory miss', 'redis error']);
  });

  test('each authenticator of a review calls it, and no timeout makes one throw', async () => {
    await using redis = await startRedis();
    await using opened = await openShared(redis, { timeout });
    const chain = createChain(opened);
    await redis.hang();
    const { calls } = opened;
    for (const { outcome } of chain) expect(await outcome('token')).toBe('backend: no-opinion');
    expect(opened.calls).toBe(calls + 2 * chain.length);
    expect(chain.map(({ looks }) => looks.at(-1))).toEqual(
      new Array(chain.length).fill('redis error'),
    );
  });
});
