import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { describe, expect, test } from 'vitest';
import { type CacheGateway, sealingKey, shared, startCacheGateway, startReplicas } from './testing/cache-gateway.ts';
import { ada } from './testing/chain.ts';
import { runCommand } from './testing/command.ts';
import { temporaryFolder } from './testing/folder.ts';
import { configText } from './testing/gateway.ts';
import { cachedAnswers, untilCached } from './testing/redis-contents.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { staticAuthenticator } from './testing/static-tokens.ts';
import { randomToken, secret } from './testing/tokens.ts';

const maker = 'openssl rand -base64 32';

describe.concurrent('a start without a good sealing key', () => {
  const short = secret(randomBytes(31).toString('base64'));
  test.each([
    ['none at all', {}, { redis: { url: 'redis://127.0.0.1:1' } }, /cache\.redis\.sealingKeys/],
    ['an empty list', {}, { redis: { url: 'redis://127.0.0.1:1', sealingKeys: [] } }, /cache\.redis\.sealingKeys/],
    [
      'an unset variable, a short one and what is no base64',
      { SHORT: short, BAD: secret(`!${randomToken(40)}`) },
      {
        redis: {
          url: 'redis://127.0.0.1:1',
          sealingKeys: ['SALLYPORT_CACHE_KEY', 'SHORT', 'BAD'].map((env) => ({ env })),
        },
      },
      /sealingKeys\[0\].*SALLYPORT_CACHE_KEY.*sealingKeys\[1\].*31 bytes.*sealingKeys\[2\].*base64/s,
    ],
  ] as const)('but %s ends at once, and says where and how to make one', async (_name, env, cache, place) => {
    const folder = await temporaryFolder('keys');
    const config = configText({ cache, authenticators: [staticAuthenticator] });
    await writeFile(join(folder, 'gateway.yaml'), config, { mode: 0o600 });
    const { code, stderr } = await runCommand(['serve', '--config', 'gateway.yaml'], { cwd: folder, env });
    expect(code).toBe(1);
    expect(stderr).toMatch(place);
    expect(stderr).toContain(maker);
  });
});

let users = 0;

/** One user has eight answers at most, and these tests need more. */
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
async function callsForEachOther({ backend, redis, one, other }: Pair, records: 'shared' | 'apart' = 'shared') {
  const before = backend.calls.length;
  let cached = (await cachedAnswers(redis)).length;
  for (const [first, second] of [
    [one, other],
    [other, one],
  ] as const) {
    const tokens = Array.from({ length: 3 }, () => tokenOfNewUser(backend));
    for (const token of tokens) expect(await first.ask(token)).toMatchObject({ authenticated: true });
    cached += tokens.length;
    await untilCached(redis, cached);
    for (const token of tokens) expect(await second.ask(token)).toMatchObject({ authenticated: true });
    if (records === 'apart') cached += tokens.length;
    await untilCached(redis, cached);
  }
  return backend.calls.length - before;
}

describe.concurrent('sealing keys', () => {
  test('are changed step by step over two replicas, and no answer is lost until the old one is dropped', async () => {
    await using redis = await startRedis();
    const backend = await startScriptedBackend();
    const [a, b] = [sealingKey(), sealingKey()];
    const setup = { authenticators: [shared(backend, 'corp')], redis: { url: redis.url }, keys: [a] };
    await using all = await startReplicas(2, setup);
    const [one, other] = all.replicas as [CacheGateway, CacheGateway];
    const pair = { backend, redis, one, other };
    const cached: string[] = [];
    /** An answer of the first replica that the other one is not asked for until the next step. */
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
      // In the middle of each step the replicas differ.
      await one.reconfigure({ keys });
      expect([keys.length, await callsForEachOther(pair)]).toEqual([2, 6]);
      await other.reconfigure({ keys });
      expect([keys.length, await callsForEachOther(pair)]).toEqual([2, 6]);
      await keepOne();
    }
    const [underA, underAToo, underB] = cached as [string, string, string];
    // Sealed under the old key, which both still open.
    expect(await other.ask(underA)).toMatchObject({ authenticated: true });
    expect(backend.callsOf(underA)).toHaveLength(1);
    await one.reconfigure({ keys: [b] });
    expect(await callsForEachOther(pair)).toBe(6);
    await other.reconfigure({ keys: [b] });
    expect(await callsForEachOther(pair)).toBe(6);
    expect(await other.ask(underB)).toMatchObject({ authenticated: true });
    expect(backend.callsOf(underB)).toHaveLength(1);
    // What is under the old key alone is asked anew, and is right all the same.
    expect(await other.ask(underAToo)).toMatchObject({ authenticated: true });
    expect(backend.callsOf(underAToo)).toHaveLength(2);
    expect(await other.lookups('redis', 'invalid')).toBe(0);
  });

  test('that differ keep replicas from using each other’s answers, and harm nothing else', async () => {
    await using redis = await startRedis();
    const backend = await startScriptedBackend();
    backend.answerOthers(ada);
    const setup = { authenticators: [shared(backend, 'corp')], redis: { url: redis.url } };
    await using one = await startCacheGateway({ ...setup, keys: [sealingKey()] });
    await using other = await startCacheGateway({ ...setup, keys: [sealingKey()] });
    // Each of twelve looks cost a call.
    expect(await callsForEachOther({ backend, redis, one, other }, 'apart')).toBe(12);
    expect([await other.lookups('redis', 'miss'), await other.lookups('redis', 'hit')]).toEqual([6, 0]);
    // One that is given the other's key too has what both know.
    await using both = await startCacheGateway({
      ...setup,
      keys: [...(one.setup.keys ?? []), ...(other.setup.keys ?? [])],
    });
    const tokens = [...new Set(backend.calls.map(({ token }) => token))];
    for (const token of tokens) expect(await both.ask(token)).toMatchObject({ authenticated: true });
    expect(backend.calls).toHaveLength(12);
  });
});
