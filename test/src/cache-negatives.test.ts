import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { type CacheGateway, sealingKey, shared, startCacheGateway } from './testing/cache-gateway.ts';
import { ada, down, failed, isAda, no, noOpinion, refused, unavailable } from './testing/chain.ts';
import { untilCached } from './testing/redis-contents.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { randomToken } from './testing/tokens.ts';

interface Place extends AsyncDisposable {
  readonly backend: ScriptedBackend;
  readonly redis: RedisServer;
  readonly gateway: CacheGateway;
}

async function start(cache: object = {}): Promise<Place> {
  await using resources = new AsyncDisposableStack();
  const backend = await startScriptedBackend();
  const redis = resources.use(await startRedis());
  const setup = { redis: { url: redis.url }, keys: [sealingKey()], authenticators: [shared(backend, 'corp')] };
  const gateway = resources.use(await startCacheGateway({ ...setup, cache }));
  const owned = resources.move();
  return { backend, redis, gateway, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Replicas write their state to Redis within half a second, in one key more than it had before. */
const keysOf = async (redis: RedisServer) => (await redis.client().keys('*')).sort();

describe.concurrent('a negative answer', () => {
  test.each([
    ['a refusal', 'rejectedTtl', refused],
    ['no opinion', 'unknownTtl', noOpinion],
  ] as const)('as %s spares the backend for its %s, in memory', async (_name, ttl, answer) => {
    // The other one stays at its default, so that each is known by its own lifetime.
    await using place = await start({ [ttl]: '1s' });
    const { backend, gateway, redis } = place;
    const token = randomToken();
    backend.answer(token, answer);
    for (const _ of [1, 2, 3]) expect(await gateway.ask(token)).toEqual(no);
    expect(backend.callsOf(token)).toHaveLength(1);
    backend.answer(token, ada);
    await waitFor(async () => (await gateway.ask(token)).authenticated, 'the backend to be asked again');
    expect(backend.callsOf(token)).toHaveLength(2);
    await untilCached(redis, 1);
  });

  test('never comes to Redis: 200 made-up tokens and 200 wrong passwords leave not one key more', async () => {
    await using place = await start();
    const { backend, gateway, redis } = place;
    const some = () => Array.from({ length: 200 }, () => randomToken());
    const known = randomToken();
    const wrong = some();
    const made = some();
    backend.answer(known, ada);
    expect(await gateway.ask(known)).toEqual(isAda);
    const isNoted = async () => (await keysOf(redis)).some((key) => key.startsWith('sallyport:cache-user:'));
    await waitFor(isNoted, 'the good answer and its note to be in Redis');
    const before = await keysOf(redis);
    for (const token of wrong)
      backend.answer(token, { kind: 'rejected', reason: 'invalid-credentials', subject: 'ada' });
    for (let first = 0; first < 200; first += 50) {
      const next = [...wrong.slice(first, first + 50), ...made.slice(first, first + 50)];
      expect(await Promise.all(next.map((token) => gateway.ask(token)))).toEqual(next.map(() => no));
    }
    expect(await gateway.metric('sallyport_cache_entries', 'tier="memory"')).toBe(401);
    expect(await keysOf(redis)).toEqual(before);
    // And none of them has pushed out the good one.
    expect(await gateway.ask(known)).toEqual(isAda);
    expect(backend.callsOf(known)).toHaveLength(1);
  });

  test('as an error is not cached at all', async () => {
    await using place = await start();
    const { backend, gateway, redis } = place;
    for (const outage of [down, failed]) {
      const token = randomToken();
      backend.answer(token, outage);
      for (const _ of [1, 2]) expect(await gateway.ask(token)).toEqual(unavailable);
      expect(backend.callsOf(token)).toHaveLength(2);
      backend.answer(token, ada);
      expect(await gateway.ask(token)).toEqual(isAda);
    }
    await untilCached(redis, 2);
  });
});

test('a positive answer ends with its token, in both tiers, and is not used as a stale one then', async () => {
  await using place = await start();
  const { backend, gateway, redis } = place;
  const token = randomToken();
  const expiresAt = new Date(Date.now() + 2_000);
  backend.answer(token, authenticated('ada', [], { expiresAt }));
  expect(await gateway.ask(token)).toEqual(isAda);
  const [key = ''] = await untilCached(redis, 1);
  // By the time that the write took it may be there longer: the record itself has its end in it.
  expect(await redis.client().pexpiretime(key)).toBeLessThanOrEqual(expiresAt.getTime() + 1_000);
  expect(await gateway.ask(token)).toEqual(isAda);
  backend.answer(token, down);
  await waitFor(async () => {
    const asked = Date.now();
    const status = await gateway.ask(token);
    if (asked > expiresAt.getTime()) expect(status).toEqual(unavailable);
    return !status.authenticated;
  }, 'the end of the token');
  expect(Date.now()).toBeGreaterThanOrEqual(expiresAt.getTime());
});
