import { startRedis } from '@sallyport/test-servers/redis';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import {
  type CacheGateway,
  sealingKey,
  shared,
  startCacheGateway,
} from './testing/cache-gateway.ts';
import { no } from './testing/chain.ts';
import { median } from './testing/median.ts';
import { startScriptedBackend } from './testing/scripted-backend.ts';

test('a Redis that hangs costs a review its timeout once, through eight authenticators and caches, and then nothing', async () => {
  await using redis = await startRedis();
  const backend = await startScriptedBackend();
  const authenticators = Array.from({ length: 8 }, (_, index) => shared(backend, `corp-${index}`));
  /** Milliseconds. An eighth is more than a probe takes: two that took longer would open the circuit. */
  const timeout = 400;
  const sharing = { redis: { url: redis.url, timeout: `${timeout}ms` }, keys: [sealingKey()] };
  await using gateway = await startCacheGateway({ authenticators, ...sharing });
  await using alone = await startCacheGateway({ authenticators });
  async function timed({ ask }: CacheGateway): Promise<number> {
    const began = performance.now();
    expect(await ask(randomToken())).toEqual(no);
    return performance.now() - began;
  }
  // Enough calls succeed first: the failures of two reviews must not open the circuit.
  const isAnswered = async () => {
    const before = await gateway.lookups('redis', 'miss');
    await timed(gateway);
    return (await gateway.lookups('redis', 'miss')) === before + authenticators.length;
  };
  for (let review = 0; review < 5; review++)
    await waitFor(isAnswered, 'an answer of Redis to each of the eight');
  const errors = () => gateway.metric('sallyport_redis_errors_total', 'use="cache"');
  const before = await errors();
  await redis.hang();
  const [during, beside, after]: [number[], number[], number[]] = [[], [], []];
  for (let review = 0; review < 2; review++) {
    during.push(await timed(gateway));
    beside.push(await timed(alone));
  }
  // Each review has waited for each of its calls.
  expect((await errors()) - before).toBeGreaterThanOrEqual(16);
  await gateway.gateway.waitForLog('circuit of the cache Redis opened: it is down or slow');
  for (let review = 0; review < 50; review++) after.push(await timed(gateway));
  const [worst, usual, later] = [Math.max(...during), median(beside), median(after)];
  console.info(
    `a review: ${worst} ms while Redis hangs, ${later} with the circuit open, ${usual} without a Redis`,
  );
  expect(worst - usual).toBeLessThan(5 * timeout);
  expect(later - usual).toBeLessThan(timeout);
});
