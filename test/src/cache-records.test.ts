import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { type CacheGateway, type CacheSetup, sealingKey, shared, startCacheGateway } from './testing/cache-gateway.ts';
import { down, no, refused, unavailable } from './testing/chain.ts';
import { cachedAnswers } from './testing/redis-contents.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { randomToken } from './testing/tokens.ts';

interface Place extends AsyncDisposable {
  readonly backend: ScriptedBackend;
  readonly redis: RedisServer;
  /** A new token, and the key and the value of the positive entry that Redis has for it. */
  keep(answer: object): Promise<{ token: string; key: string; value: string }>;
  /** A replica that has nothing in its memory. */
  replica(): Promise<CacheGateway>;
}

async function start(cache: object = {}): Promise<Place> {
  await using resources = new AsyncDisposableStack();
  const backend = await startScriptedBackend();
  const redis = resources.use(await startRedis());
  const authenticators = [shared(backend, 'corp', cache)];
  const setup: CacheSetup = { redis: { url: redis.url }, keys: [sealingKey()], authenticators };
  const gateway = resources.use(await startCacheGateway(setup));
  let users = 0;
  const owned = resources.move();
  return {
    backend,
    redis,
    async keep(more) {
      const [token, before] = [randomToken(), await cachedAnswers(redis)];
      // Each is of another user: Redis has eight answers of one at most.
      backend.answer(token, authenticated(`ada-${users++}`, [], more));
      expect(await gateway.ask(token)).toMatchObject({ authenticated: true });
      const isNew = (one: string) => !before.includes(one);
      const key = await waitFor(async () => (await cachedAnswers(redis)).find(isNew), 'the answer in Redis');
      return { token, key, value: (await redis.client().get(key)) ?? '' };
    },
    replica: () => startCacheGateway(setup),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Milliseconds that an attacker who writes to Redis asks for a forgery to stay there. */
const long = 600_000;

describe.concurrent('whoever can write to Redis', () => {
  test('is not let in for another token by a record, nor by one with a byte changed', async () => {
    await using place = await start();
    const { backend, redis } = place;
    const known = await place.keep({});
    const sealed = Buffer.from(known.value, 'base64');
    // Its format, the nonce, both ends of what is sealed, and the tag.
    const flipped = [
      0,
      1,
      12,
      13,
      Math.floor(sealed.length / 2),
      sealed.length - 17,
      sealed.length - 16,
      sealed.length - 1,
    ];
    const forgeries = [
      known.value,
      ...flipped.map((place) => {
        const copy = Buffer.from(sealed);
        copy[place] = (copy[place] ?? 0) ^ 1;
        return copy.toString('base64');
      }),
      sealed.subarray(0, -1).toString('base64'),
      JSON.stringify({ answeredAt: Date.now(), revision: 0, keptFor: long, user: { username: 'root' } }),
      '',
    ];
    const targets = [];
    for (const forgery of forgeries) targets.push({ ...(await place.keep({})), forgery });
    for (const { key, forgery } of targets) await redis.client().set(key, forgery, 'PX', long);
    // The bytes that were flipped stand under their own token, too.
    const own = await place.keep({});
    await redis.client().set(own.key, `${own.value.slice(0, -8)}AAAAAAA=`, 'PX', long);
    await using replica = await place.replica();
    for (const { token } of [...targets, own]) {
      backend.answer(token, refused);
      expect(await replica.ask(token)).toEqual(no);
    }
    expect(await replica.lookups('redis', 'invalid')).toBe(targets.length + 1);
    expect(await replica.lookups('redis', 'hit')).toBe(0);
    // They are not used as stale answers either while the backend is down.
    await using another = await place.replica();
    await redis.client().mset(targets.flatMap(({ key, forgery }) => [key, forgery]));
    for (const { token } of targets) {
      backend.answer(token, down);
      expect(await another.ask(token)).toEqual(unavailable);
    }
    expect(await another.lookups('redis', 'stale')).toBe(0);
    expect(await another.ask(known.token)).toMatchObject({ user: { username: 'ada-0' } });
  });

  test('is not let in by an older copy after the end of its token, or after its time', async () => {
    await using place = await start({ authenticatedTtl: '4s', staleTtl: '500ms' });
    const { backend, redis } = place;
    await using replica = await place.replica();
    const expiresAt = Date.now() + 4_000;
    const [ended, old] = [await place.keep({ expiresAt }), await place.keep({})];
    const client = redis.client();
    await waitFor(async () => (await client.exists(ended.key, old.key)) === 0, 'Redis to drop both');
    for (const { token, key, value } of [ended, old]) {
      backend.answer(token, down);
      for (const keep of [() => client.set(key, value), () => client.set(key, value, 'PX', long)]) {
        await keep();
        expect(await replica.ask(token)).toEqual(unavailable);
      }
    }
    // They are not what this replica looks for, not even while it has nothing else.
    for (const result of ['hit', 'stale', 'invalid'] as const) {
      expect([result, await replica.lookups('redis', result)]).toEqual([result, 0]);
    }
    expect(await replica.lookups('redis', 'miss')).toBe(4);
  });
});
