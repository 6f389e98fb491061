import { startFaultProxy } from '@sallyport/test-servers/fault-proxy';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import {
  costOf,
  cutConnections,
  errorsOf,
  type Faults,
  type Latencies,
  redisTimeout,
  saidBy,
  startFaults,
  startGuardedRedis,
  untilShared,
} from './testing/cache-faults.ts';
import { type CacheGateway, sealingKey, shared, startCacheGateway } from './testing/cache-gateway.ts';
import { no } from './testing/chain.ts';
import { startScriptedBackend } from './testing/scripted-backend.ts';
import { randomToken } from './testing/tokens.ts';

const circuitOpened = 'circuit of the cache Redis opened';
const circuitClosed = 'circuit of the cache Redis closed: it has recovered';

interface Outage extends AsyncDisposable {
  readonly faults: Faults;
  begin(): Promise<unknown>;
  end(): Promise<unknown>;
}

/** An outage of a Redis behind a proxy, which is late from the call of `begin` on. */
async function startSlow(): Promise<Outage> {
  await using resources = new AsyncDisposableStack();
  const redis = resources.use(await startRedis());
  let isSlow = false;
  const target = { host: '127.0.0.1', port: redis.port };
  // 250 ms for each direction; it is all the same to whoever waits for the answer where they are spent.
  const plan = () => (isSlow ? ({ kind: 'delay', time: 500 } as const) : ({ kind: 'pass' } as const));
  const proxy = resources.use(await startFaultProxy({ target, plan }));
  const faults = resources.use(await startFaults({ url: `redis://127.0.0.1:${proxy.port}` }));
  const turn = async (slow: boolean) => {
    isSlow = slow;
    await cutConnections(redis);
  };
  const owned = resources.move();
  return { faults, begin: () => turn(true), end: () => turn(false), [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function startDirect(begin: (redis: RedisServer) => Promise<unknown>, end: (redis: RedisServer) => Promise<unknown>) {
  return async (): Promise<Outage> => {
    await using resources = new AsyncDisposableStack();
    const { redis, config, files } = await startGuardedRedis();
    resources.use(redis);
    const faults = resources.use(await startFaults(config, { files }));
    const owned = resources.move();
    return {
      faults,
      begin: () => begin(redis),
      end: () => end(redis),
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  };
}

async function changePassword(redis: RedisServer, password: string): Promise<void> {
  await redis.client().config('SET', 'requirepass', password);
  await cutConnections(redis);
}

describe.concurrent('answers stay right, and reviews cost no more than cache.redis.timeout, while Redis', () => {
  test.each([
    ['is slow', startSlow],
    [
      'hangs',
      startDirect(
        (redis) => redis.hang(),
        (redis) => redis.start(),
      ),
    ],
    [
      'is down',
      startDirect(
        (redis) => redis.kill(),
        (redis) => redis.start(),
      ),
    ],
    [
      'refuses the password',
      startDirect(
        (redis) => changePassword(redis, randomToken()),
        (redis) => changePassword(redis, redis.password ?? ''),
      ),
    ],
  ] as const)('%s', async (name, start) => {
    await using outage = await start();
    const { faults } = outage;
    const { one, other, measure } = faults;
    await untilShared(faults);
    costOf(`before Redis ${name}`, [await measure(30)]);
    const before = await errorsOf(one, 'cache');

    await outage.begin();
    const during: Latencies[] = [];
    while (saidBy(one, circuitOpened) === 0) during.push(await measure(1));
    const cost = costOf(`while Redis ${name}`, during);
    expect(cost.worst).toBeLessThan(5 * redisTimeout);
    const errors = await errorsOf(one, 'cache');
    expect(errors).toBeGreaterThan(before);

    const open = costOf(`with the circuit open, since Redis ${name}`, [await measure(50)]);
    // Not one of these 50 asked it, so none waited for it. The writes that the reviews before them left behind end late.
    expect((await errorsOf(one, 'cache')) - errors).toBeLessThanOrEqual(during.length);
    expect(open.median).toBeLessThan(redisTimeout);
    expect(await errorsOf(one, 'revocations')).toBeGreaterThan(0);
    expect(await faults.isShared()).toBe(false);

    await outage.end();
    await one.gateway.waitForLog(circuitClosed);
    const hits = await other.lookups('redis', 'hit');
    await untilShared(faults);
    expect(await other.lookups('redis', 'hit')).toBeGreaterThan(hits);
    for (const message of [circuitOpened, circuitClosed]) expect([message, saidBy(one, message)]).toEqual([message, 1]);
  });
});

test('a Redis that hangs costs a review its timeout once, however many authenticators and caches it goes through', async () => {
  await using redis = await startRedis();
  const backend = await startScriptedBackend();
  const authenticators = Array.from({ length: 8 }, (_, index) => shared(backend, `corp-${index}`));
  // All eight together are less than a command may take, after which the connection is closed and no one waits for it. An
  // eighth is more than a probe takes on a busy machine: two that took longer would open the circuit.
  const timeout = 400;
  const sharing = { redis: { url: redis.url, timeout: `${timeout}ms` }, keys: [sealingKey()] };
  await using gateway = await startCacheGateway({ authenticators, ...sharing });
  await using alone = await startCacheGateway({ authenticators });
  async function timed({ ask }: CacheGateway, token = randomToken()): Promise<number> {
    const began = performance.now();
    expect(await ask(token)).toEqual(no);
    return performance.now() - began;
  }
  // Enough calls succeed first: the failures of two reviews must not open the circuit.
  const isAnswered = async () => {
    const before = await gateway.lookups('redis', 'miss');
    await timed(gateway);
    return (await gateway.lookups('redis', 'miss')) === before + authenticators.length;
  };
  for (let review = 0; review < 5; review++) await waitFor(isAnswered, 'an answer of Redis to each of the eight');
  const errors = await errorsOf(gateway, 'cache');
  await redis.hang();
  const latencies: Latencies = { withRedis: [], alone: [] };
  for (let review = 0; review < 2; review++) {
    latencies.withRedis.push(await timed(gateway));
    latencies.alone.push(await timed(alone));
  }
  expect(costOf('while Redis hangs, eight authenticators', [latencies]).worst).toBeLessThan(5 * timeout);
  // Each review has waited for each of its calls.
  expect((await errorsOf(gateway, 'cache')) - errors).toBeGreaterThanOrEqual(16);
});

test('a gateway starts while Redis is down, and shares answers once it is there', async () => {
  await using redis = await startRedis();
  await redis.stop();
  await using faults = await startFaults({ url: redis.url });
  const { one, measure } = faults;
  await measure(6);
  expect(await faults.isShared()).toBe(false);
  await redis.start();
  await untilShared(faults);
  expect(saidBy(one, circuitOpened)).toBeLessThanOrEqual(1);
});
