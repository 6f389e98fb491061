import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import type { CacheGateway } from './testing/cache-gateway.ts';
import { startPair } from './testing/cache-pair.ts';

const circuitOpened = 'circuit of the cache Redis opened: it is down or slow';
const circuitClosed = 'circuit of the cache Redis closed: it has recovered';

const errorsOf = ({ metric }: CacheGateway) =>
  metric('sallyport_redis_errors_total', 'use="cache"');

describe('answers stay right', () => {
  test.each<{ name: string; begin: (redis: RedisServer) => Promise<unknown> }>([
    { name: 'hangs', begin: (redis) => redis.hang() },
    { name: 'is down', begin: (redis) => redis.kill() },
  ])(
    'while Redis $name, a few reviews call it and then none, and answers are shared again',
    async ({ begin }) => {
      await using redis = await startRedis();
      await using pair = await startPair({ url: redis.url });
      const { one, other, ask, isShared, untilShared } = pair;
      await untilShared();
      await begin(redis);
      // The circuit of the other replica, which no one asks, opens by its poll of the revocation list.
      await waitFor(async () => {
        await ask();
        return [one, other].every(({ gateway }) => gateway.output.text().includes(circuitOpened));
      }, 'both circuits to open');
      // Each of 30 reviews would be one more error. A few writes after earlier reviews may still fail.
      const calls = await errorsOf(one);
      for (let count = 0; count < 10; count += 1) await ask();
      expect(await isShared()).toBe(false);
      expect((await errorsOf(one)) - calls).toBeLessThan(30);

      await redis.start();
      for (const { gateway } of [one, other]) await gateway.waitForLog(circuitClosed);
      const hits = await other.lookups('redis', 'hit');
      await untilShared();
      expect(await other.lookups('redis', 'hit')).toBeGreaterThan(hits);
    },
  );

  test('while a gateway starts without Redis, and they are shared once it is there', async () => {
    await using redis = await startRedis();
    await redis.stop();
    // Otherwise it accepts no one, since it does not know who is blocked.
    await using pair = await startPair({ url: redis.url, startWithoutBlocks: true });
    await pair.ask();
    expect(await pair.isShared()).toBe(false);
    await redis.start();
    await pair.untilShared();
  });
});
