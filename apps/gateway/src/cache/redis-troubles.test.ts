import { listenForNoise } from '@sallyport/test-servers/noise';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { type OpenedShared, openShared, portOf } from '../shared-redis/testing/opened-shared-redis.ts';
import { authenticated, createReplica, noOpinion, rejected } from './testing/cached-replica.ts';
import { recordsIn } from './testing/records.ts';

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

const set = (redis: RedisServer, name: string, value: string) => redis.client().config('SET', name, value);

/** What it can not do then, and still reads. */
const unwilling: readonly (readonly [
  string,
  (redis: RedisServer) => Promise<unknown>,
  (redis: RedisServer) => Promise<unknown>,
])[] = [
  ['is full', (redis) => set(redis, 'maxmemory', '1'), (redis) => set(redis, 'maxmemory', '0')],
  [
    'is a replica',
    (redis) => redis.client().replicaof('127.0.0.1', redis.tlsPort),
    (redis) => redis.client().replicaof('NO', 'ONE'),
  ],
  [
    'allows no writes',
    (redis) => redis.client().call('ACL', 'SETUSER', 'default', '-set', '-del'),
    (redis) => redis.client().call('ACL', 'SETUSER', 'default', '+set', '+del'),
  ],
];

describe.each(unwilling)('while Redis %s', (_, begin, end) => {
  test('what it has is read, nothing throws, and reviews go on with the backend', async () => {
    const noise = listenForNoise();
    await using redis = await startRedis();
    await using opened = await openShared(redis);
    await outcome(opened, 'old');
    await opened.quiet();
    await begin(redis);
    for (let count = 0; count < 20; count += 1) {
      expect(await outcome(opened, 'old')).toBe('redis: user of old');
      expect(await outcome(opened, `new ${count}`)).toBe(`backend: user of new ${count}`);
      expect(await outcome(opened, `no ${count}`)).toBe('backend: no-opinion');
    }
    await opened.quiet();
    // Each new positive answer could not be stored. Redis answers at once, so this is no outage.
    expect([opened.errors, opened.lines]).toEqual([new Array(20).fill('cache'), []]);
    await end(redis);
    await outcome(opened, 'new');
    await opened.quiet();
    expect(await outcome(opened, 'new')).toBe('redis: user of new');
    expect(noise).toEqual([]);
  });
});

/** Another call would fail as well. */
const outages: readonly (readonly [string, (redis: RedisServer) => Promise<unknown>])[] = [
  ['is stopped', (redis) => redis.stop()],
  ['is killed', (redis) => redis.kill()],
];

describe.each(outages)('while Redis %s', (_, begin) => {
  test('reviews go on, and the circuit is open until it has recovered', async () => {
    const noise = listenForNoise();
    await using redis = await startRedis();
    await using opened = await openShared(redis);
    await outcome(opened, 'old');
    await opened.quiet();
    await begin(redis);
    for (let count = 0; count < 50; count += 1) {
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
    await waitFor(() => probe(opened), 'the connection to be back');
    await waitFor(async () => (await probe(opened)) && opened.lines.includes(circuitClosed), 'the circuit to close');
    expect(await outcome(opened, 'old')).toBe('redis: user of old');
    expect(opened.lines).toEqual([circuitOpened, circuitClosed]);
    expect(noise).toEqual([]);
  });
});

test('with a wrong password reviews go on, and the circuit opens', async () => {
  const noise = listenForNoise();
  await using redis = await startRedis({ password: true });
  await using opened = await openShared(redis, { servers: portOf(redis.port), password: 'another' });
  for (let count = 0; count < 20; count += 1) expect(await outcome(opened, 'token')).toBe('backend: user of token');
  expect(opened.lines).toEqual([circuitOpened]);
  for (let count = 0; count < 5; count += 1) expect(await probe(opened)).toBe(false);
  expect(await outcome(opened, 'token')).toBe('backend: user of token');
  expect(opened.lines).toEqual([circuitOpened]);
  expect(await redis.client().dbsize()).toBe(0);
  expect(noise).toEqual([]);
});

test('a Redis that hangs has at most a thousand calls behind reviews, and more are dropped', async () => {
  const noise = listenForNoise();
  await using redis = await startRedis();
  await using opened = await openShared(redis);
  await redis.hang();
  for (let count = 0; count < 5_000; count += 1) opened.redis.send('cache', (client) => client.set(`${count}`, 'x'));
  expect(opened.inProgress).toBe(1_000);
  await redis.start();
  await opened.quiet();
  expect(await redis.client().dbsize()).toBe(1_000);
  expect(opened.errors).toEqual([]);
  expect(noise).toEqual([]);
});

test('a refusal that Redis could not take is not overridden by the positive entry that it still has', async () => {
  await using redis = await startRedis();
  await using opened = await openShared(redis);
  const replica = createReplica({ shared: opened.redis });
  await replica.ask();
  await opened.quiet();
  replica.clocks.pass(10 * 60_000);
  await redis.client().call('ACL', 'SETUSER', 'default', '-del');
  replica.answer = () => rejected;
  await replica.ask();
  await opened.quiet();
  expect(await recordsIn(redis)).toHaveLength(1);
  replica.answer = async () => {
    throw new Error('down');
  };
  replica.clocks.pass(60_000);
  await expect(replica.ask()).rejects.toThrow('down');
});
