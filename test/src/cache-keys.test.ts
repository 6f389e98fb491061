import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { randomToken } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import {
  type CacheGateway,
  sealingKey,
  shared,
  startCacheGateway,
  startCacheReplicas,
} from './testing/cache-gateway.ts';
import { corpUnavailable, down, no, refusal } from './testing/chain.ts';
import { cachedAnswers, untilCached } from './testing/redis-contents.ts';
import {
  authenticated,
  type ScriptedBackend,
  startScriptedBackend,
} from './testing/scripted-backend.ts';

let users = 0;

/** Makes a token of a new user: one user has at most eight answers, and these tests need more. */
function tokenOfNewUser(backend: ScriptedBackend): string {
  const token = randomToken();
  users += 1;
  backend.answer(token, authenticated(`user-${users}`));
  return token;
}

interface Pair {
  readonly backend: ScriptedBackend;
  readonly redis: RedisServer;
  readonly one: CacheGateway;
  readonly other: CacheGateway;
}

/** Asks each of two replicas about three new tokens, and then the other one about the same. @returns the calls of that */
async function callsForEachOther({ backend, redis, one, other }: Pair) {
  const before = backend.calls.length;
  for (const [first, second] of [
    [one, other],
    [other, one],
  ] as const) {
    const cached = await cachedAnswers(redis);
    const tokens = Array.from({ length: 3 }, () => tokenOfNewUser(backend));
    for (const token of tokens)
      expect(await first.ask(token)).toMatchObject({ authenticated: true });
    await untilCached(redis, cached.length + tokens.length);
    for (const token of tokens)
      expect(await second.ask(token)).toMatchObject({ authenticated: true });
  }
  return backend.calls.length - before;
}

test('sealing keys are changed step by step over two replicas, and no answer is lost until the old one is dropped', async () => {
  await using redis = await startRedis();
  const backend = await startScriptedBackend();
  const [a, b] = [sealingKey(), sealingKey()];
  const setup = { authenticators: [shared(backend, 'corp')], redis: { url: redis.url }, keys: [a] };
  await using all = await startCacheReplicas(2, setup);
  const [one, other] = all.replicas as [CacheGateway, CacheGateway];
  const pair = { backend, redis, one, other };
  const cached: string[] = [];
  /** Makes an answer of the first replica. The other one is not asked for it until the next step. */
  const keepOne = async () => {
    const token = tokenOfNewUser(backend);
    const before = await cachedAnswers(redis);
    expect(await one.ask(token)).toMatchObject({ authenticated: true });
    await untilCached(redis, before.length + 1);
    cached.push(token);
  };
  expect(await callsForEachOther(pair)).toBe(6);
  await keepOne();
  for (const keys of [
    [a, b],
    [b, a],
  ]) {
    // The replicas differ in the middle of each step.
    await one.reconfigure({ keys });
    expect([keys.length, await callsForEachOther(pair)]).toEqual([2, 6]);
    await other.reconfigure({ keys });
    expect([keys.length, await callsForEachOther(pair)]).toEqual([2, 6]);
    await keepOne();
  }
  const [underA, underAToo, underB] = cached as [string, string, string];
  // This answer is sealed under the old key, which both replicas still open.
  expect(await other.ask(underA)).toMatchObject({ authenticated: true });
  expect(backend.callsOf(underA)).toHaveLength(1);
  await one.reconfigure({ keys: [b] });
  expect(await callsForEachOther(pair)).toBe(6);
  await other.reconfigure({ keys: [b] });
  expect(await callsForEachOther(pair)).toBe(6);
  expect(await other.ask(underB)).toMatchObject({ authenticated: true });
  expect(backend.callsOf(underB)).toHaveLength(1);
  // Answers that are only under the old key are asked for again, and are right.
  expect(await other.ask(underAToo)).toMatchObject({ authenticated: true });
  expect(backend.callsOf(underAToo)).toHaveLength(2);
  expect(await other.lookups('redis', 'invalid')).toBe(0);
});

/** Milliseconds for which an attacker who writes to Redis wants a forgery to stay there. */
const long = 600_000;

test('who can write to Redis lets no one in by a record that was moved, changed or made up', async () => {
  await using redis = await startRedis();
  const backend = await startScriptedBackend();
  const setup = {
    authenticators: [shared(backend, 'corp')],
    redis: { url: redis.url },
    keys: [sealingKey()],
  };
  await using gateway = await startCacheGateway(setup);
  /** Makes a token. @returns it with the key and the value of its positive entry in Redis */
  const keep = async () => {
    const [token, before] = [tokenOfNewUser(backend), await cachedAnswers(redis)];
    expect(await gateway.ask(token)).toMatchObject({ authenticated: true });
    const after = await untilCached(redis, before.length + 1);
    const [key = ''] = after.filter((one) => !before.includes(one));
    return { token, key, value: (await redis.client().get(key)) ?? '' };
  };
  const [known, own] = [await keep(), await keep()];
  const changed = Buffer.from(own.value, 'base64');
  changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1);
  const forged = { answeredAt: Date.now(), revision: 0, keptFor: long, user: { username: 'root' } };
  const forgeries = [
    { ...own, forgery: changed.toString('base64') },
    { ...(await keep()), forgery: known.value },
    { ...(await keep()), forgery: JSON.stringify(forged) },
  ];
  for (const answer of [refusal, down]) {
    for (const { key, forgery } of forgeries) await redis.client().set(key, forgery, 'PX', long);
    await using replica = await startCacheGateway(setup);
    for (const { token } of forgeries) {
      backend.answer(token, answer);
      // The entries are not used as stale answers either.
      expect(await replica.ask(token)).toEqual(answer === down ? corpUnavailable : no);
    }
    expect(await replica.lookups('redis', 'invalid')).toBe(forgeries.length);
    expect(await replica.ask(known.token)).toMatchObject({ authenticated: true });
  }
});
