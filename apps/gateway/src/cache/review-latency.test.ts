import type { FaultPlan } from '@sallyport/test-servers/fault-proxy';
import { startFaultProxy } from '@sallyport/test-servers/fault-proxy';
import { startRedis } from '@sallyport/test-servers/redis';
import { expect, test } from 'vitest';
import { withReviewBudget } from '../shared-redis/review-budget.ts';
import { type OpenedShared, openShared, portOf } from '../shared-redis/testing/opened-shared-redis.ts';
import { createReplica, noOpinion, type Replica } from './testing/cached-replica.ts';

const { info: print } = console;

/** Milliseconds: what Redis may cost a review in all. */
const timeout = 60;
const authenticators = 3;

/** Several authenticators that know nothing and say so at once: what a review takes is what Redis costs. */
function createChain({ redis }: OpenedShared): readonly Replica[] {
  return Array.from({ length: authenticators }, (_, index) =>
    createReplica({ shared: redis, settings: { name: `${index}`, fingerprint: `${index}` }, answer: () => noOpinion }),
  );
}

/** Milliseconds that one review took. */
async function review(chain: readonly Replica[], token: string): Promise<number> {
  const start = performance.now();
  await withReviewBudget(async () => {
    for (const { tell } of chain) expect(await tell(token)).toMatch(/^(backend|memory): no-opinion$/);
  });
  return performance.now() - start;
}

/** What reviews take one after the other, until Redis is left alone, and after that. */
async function measure(what: string, opened: OpenedShared, waiters = 1) {
  const chain = createChain(opened);
  const until: number[] = [];
  while (opened.lines.length === 0 && until.length < 500) {
    const token = `token ${until.length}`;
    until.push(...(await Promise.all(Array.from({ length: waiters }, () => review(chain, token)))));
  }
  const { calls } = opened;
  const after: number[] = [];
  for (let count = 0; count < 100; count += 1) after.push(await review(chain, `later ${count}`));
  const [slowest, later] = [Math.max(...until), Math.max(...after)].map((each) => each.toFixed(1));
  print(`${what}: ${until.length} reviews, the slowest ${slowest} ms, of ${timeout} ms; once left alone ${later} ms`);
  expect(opened.lines).toEqual(['the cache Redis is left alone: it is down or slow']);
  // Nothing is sent any more, so there is nothing to wait for.
  expect(opened.calls).toBe(calls);
  expect(Math.max(...until)).toBeGreaterThan(timeout - 5);
  expect(Math.max(...until, ...after)).toBeLessThan(5 * timeout);
  return { until, after };
}

test.each([1, 20])(
  'a Redis that is slow costs a review its time in all, and then nothing: %i at once',
  async (waiters) => {
    await using redis = await startRedis();
    await using proxy = await startFaultProxy({
      target: { host: '127.0.0.1', port: redis.port },
      plan: () => ({ kind: 'delay', time: 10 * timeout }),
    });
    await using opened = await openShared(redis, { servers: portOf(proxy.port), timeout });
    const { until } = await measure(`slow, ${waiters} at once`, opened, waiters);
    // Five calls, of which each review has one.
    expect(until.length / waiters).toBeLessThanOrEqual(5);
  },
);

test('a Redis that hangs costs a review its time in all, and then nothing', async () => {
  await using redis = await startRedis();
  await using opened = await openShared(redis, { timeout });
  await redis.hang();
  const { until } = await measure('hangs', opened);
  expect(until.length).toBeLessThanOrEqual(5);
});

test('a Redis whose answers stop half-way does too', async () => {
  await using redis = await startRedis();
  // Some answers come, then a part of one.
  const plan: FaultPlan = { kind: 'stall', direction: 'to-client', after: 700 };
  await using proxy = await startFaultProxy({ target: { host: '127.0.0.1', port: redis.port }, plan: () => plan });
  await using opened = await openShared(redis, { servers: portOf(proxy.port), timeout });
  const { until } = await measure('stalls', opened);
  // Those that came before the stall.
  expect(Math.min(...until)).toBeLessThan(timeout - 5);
});

test('authenticators of one review share its time, and none of them throws for want of it', async () => {
  await using redis = await startRedis();
  await using opened = await openShared(redis, { timeout });
  const chain = createChain(opened);
  await redis.hang();
  const { calls } = opened;
  await review(chain, 'token');
  // One asked; and each no is told, since there may be a yes.
  expect(opened.calls).toBe(calls + 1 + authenticators);
  expect(chain.map(({ looks }) => looks.at(-1))).toEqual(new Array(authenticators).fill('redis error'));
});

test('a Redis that is well costs what a round trip takes', async () => {
  await using redis = await startRedis();
  await using opened = await openShared(redis, { timeout });
  const chain = createChain(opened);
  const took: number[] = [];
  for (let count = 0; count < 200; count += 1) took.push(await review(chain, `token ${count}`));
  const median = took.sort((one, other) => one - other)[100] ?? 0;
  print(`well: ${median.toFixed(2)} ms for ${authenticators} authenticators (median)`);
  expect(median).toBeLessThan(timeout);
});
