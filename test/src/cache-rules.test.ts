import { setTimeout } from 'node:timers/promises';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type CacheGateway, type CacheSetup, sealingKey, shared, startCacheGateway } from './testing/cache-gateway.ts';
import { ada, down, isAda, no, noOpinion, refused } from './testing/chain.ts';
import { cachedAnswers, untilCached } from './testing/redis-contents.ts';
import { isRobot, robots } from './testing/redis-gateway.ts';
import { issue, writeRecord } from './testing/redis-tokens.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { staticAuthenticator, tokensFile } from './testing/static-tokens.ts';
import { randomToken, secret } from './testing/tokens.ts';

interface Place extends AsyncDisposable {
  readonly backend: ScriptedBackend;
  readonly redis: RedisServer;
  readonly gateway: CacheGateway;
}

/** A gateway of its own with its own Redis, whose authenticators `entries` makes. */
async function start(
  entries: (backend: ScriptedBackend, redis: RedisServer) => readonly object[],
  setup: Partial<CacheSetup> = {},
): Promise<Place> {
  await using resources = new AsyncDisposableStack();
  const backend = await startScriptedBackend();
  const redis = resources.use(await startRedis());
  const authenticators = entries(backend, redis);
  const own = { redis: { url: redis.url }, keys: [sealingKey()], authenticators };
  const gateway = resources.use(await startCacheGateway({ ...own, ...setup }));
  const owned = resources.move();
  return { backend, redis, gateway, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe('a cached answer', () => {
  let place: Place;
  beforeAll(async () => {
    place = await start((backend) => [
      backend.authenticator('first'),
      shared(backend, 'brief', { unknownTtl: '300ms' }),
      shared(backend, 'second'),
    ]);
  });
  afterAll(() => place[Symbol.asyncDispose]());

  test('never goes before an earlier authenticator, and keeps its own place while that one is down', async () => {
    const { backend, gateway } = place;
    const token = randomToken();
    backend.answer(token, noOpinion, 'first');
    backend.answer(token, authenticated('second'), 'second');
    const isNow = async (name: string) => expect((await gateway.ask(token)).user?.username).toBe(name);
    await isNow('second');
    backend.answer(token, ada, 'first');
    await isNow('ada');
    backend.answer(token, refused, 'first');
    expect(await gateway.ask(token)).toEqual(no);
    backend.answer(token, down, 'first');
    await isNow('second');
    expect(backend.callsOf(token).filter(({ authenticator }) => authenticator === 'second')).toHaveLength(1);
  });

  test('of a later authenticator waits until an earlier one is sure again that it has no opinion', async () => {
    const { backend, gateway } = place;
    const token = randomToken();
    backend.answer(token, noOpinion, 'brief');
    backend.answer(token, authenticated('second'), 'second');
    expect((await gateway.ask(token)).user?.username).toBe('second');
    backend.answer(token, ada, 'brief');
    await waitFor(async () => (await gateway.ask(token)).user?.username === 'ada', 'the earlier one to be asked again');
  });
});

/** None of these has a cached answer in Redis: static tokens, tokens of Redis, and an authenticator with `cache: off`. */
describe('a cached answer in Redis', () => {
  const [token, other] = [randomToken(), randomToken()];
  let place: Place;
  beforeAll(async () => {
    const entries = (backend: ScriptedBackend, { url }: RedisServer) => [
      { ...staticAuthenticator, name: 'static' },
      robots({ url }, { cache: {} }),
      backend.authenticator('corp', { cache: 'off' }),
    ];
    const files = { 'tokens.yaml': tokensFile({ [token]: 'ci', [other]: 'cd' }) };
    place = await start(entries, { files, cache: { authenticatedTtl: '1h' } });
  });
  afterEach(async () => {
    expect(await cachedAnswers(place.redis)).toEqual([]);
    expect(await place.gateway.metric('sallyport_cache_lookups_total', 'tier="redis"')).toBe(0);
  });
  afterAll(() => place[Symbol.asyncDispose]());

  test('is none of a static token: one that was taken out of its file is refused at once', async () => {
    const { gateway } = place;
    const before = await gateway.metric('sallyport_cache_lookups_total');
    for (const _ of [1, 2]) expect(await gateway.ask(token)).toMatchObject({ authenticated: true });
    expect(await gateway.metric('sallyport_cache_lookups_total')).toBe(before);
    await gateway.gateway.write('tokens.yaml', tokensFile({ [other]: 'cd' }));
    gateway.gateway.signal('SIGHUP');
    await gateway.gateway.waitForLog('config reloaded');
    expect(await gateway.ask(token)).toEqual(no);
    expect(await gateway.ask(other)).toMatchObject({ authenticated: true });
  });

  test('is none of a Redis token, which lives in memory only, and 5 s at most', async () => {
    const { gateway, redis } = place;
    const issued = await issue(() => redis, { username: 'ci' });
    expect(await gateway.ask(issued)).toEqual(isRobot('ci'));
    const known = performance.now();
    await writeRecord(() => redis, issued, JSON.stringify({ username: 'ci', revokedAt: '2026-05-01T00:00:00Z' }));
    expect(await gateway.ask(issued)).toEqual(isRobot('ci'));
    await waitFor(async () => {
      await setTimeout(50);
      const asked = performance.now();
      const status = await gateway.ask(issued);
      if (asked - known > 5_000) expect(status).toEqual(no);
      return !status.authenticated;
    }, 'the revocation to hold');
  });

  test('is none with cache: off, whatever the file says', async () => {
    const { backend, gateway } = place;
    const asked = randomToken();
    backend.answer(asked, ada);
    expect(await gateway.ask(asked)).toEqual(isAda);
    backend.answer(asked, refused);
    expect(await gateway.ask(asked)).toEqual(no);
    backend.answer(asked, down);
    expect(await gateway.ask(asked)).toMatchObject({ error: 'authenticator corp unavailable' });
  });
});

/** Each authenticator has tokens of its own. Each test begins and ends with the config of the start. */
describe('an edit of gateway.yaml', () => {
  const entry = { username: { prefix: 'corp:' }, groups: { prefix: 'corp:', allow: ['k8s-*'] } };
  const edited = { username: { prefix: 'acme:' }, groups: { prefix: 'acme:', allow: ['dev-*'] } };
  const entries = (backend: ScriptedBackend, { ignoresAbort = false, identity = entry } = {}) => {
    const cache = { store: 'shared' };
    return [
      backend.authenticator('first', { cache }, { recognizes: 'a-', ignoresAbort }),
      backend.authenticator('second', { cache }, { recognizes: 'b-' }),
      backend.authenticator('corp', { cache, ...identity }, { recognizes: 'corp-' }),
    ];
  };
  const tokenOf = (prefix: string) => secret(`${prefix}-${randomToken()}`);
  let place: Place;
  beforeAll(async () => {
    place = await start((backend) => entries(backend));
  });
  afterAll(() => place[Symbol.asyncDispose]());

  test('of one authenticator’s options leaves its answers behind at once, and those of another alone', async () => {
    const { backend, gateway, redis } = place;
    const before = (await cachedAnswers(redis)).length;
    const tokens = [tokenOf('a'), tokenOf('b')];
    for (const token of tokens) backend.answer(token, ada);
    const calls = () => tokens.map((token) => backend.callsOf(token).length);
    for (const token of [...tokens, ...tokens]) expect(await gateway.ask(token)).toEqual(isAda);
    expect(calls()).toEqual([1, 1]);
    await gateway.reconfigure({ authenticators: entries(backend, { ignoresAbort: true }) });
    for (const token of [...tokens, ...tokens]) expect(await gateway.ask(token)).toEqual(isAda);
    expect(calls()).toEqual([2, 1]);
    // What was cached under the old options belongs to these still.
    await gateway.reconfigure({});
    for (const token of tokens) expect(await gateway.ask(token)).toEqual(isAda);
    expect(calls()).toEqual([2, 1]);
    // The next test counts them, too.
    await untilCached(redis, before + 3);
  });

  test('of prefixes and allowed groups holds for cached answers at once, from memory and from Redis', async () => {
    const { backend, gateway, redis } = place;
    const token = tokenOf('corp');
    backend.answer(token, authenticated('ada', ['k8s-admins', 'dev-web']));
    const isUser = (username: string, group: string) => ({ authenticated: true, user: { username, groups: [group] } });
    const before = (await cachedAnswers(redis)).length;
    expect(await gateway.ask(token)).toEqual(isUser('corp:ada', 'corp:k8s-admins'));
    const authenticators = entries(backend, { identity: edited });
    await gateway.reconfigure({ authenticators });
    expect(await gateway.ask(token)).toEqual(isUser('acme:ada', 'acme:dev-web'));
    await untilCached(redis, before + 1);
    await using other = await startCacheGateway({ ...gateway.setup, authenticators });
    expect(await other.ask(token)).toEqual(isUser('acme:ada', 'acme:dev-web'));
    expect(await other.lookups('redis', 'hit')).toBe(1);
    expect(backend.callsOf(token)).toHaveLength(1);
    await gateway.reconfigure({});
  });
});
