import { type FaultPlan, startFaultProxy } from '@sallyport/test-servers/fault-proxy';
import { startRedis } from '@sallyport/test-servers/redis';
import { expect, test } from 'vitest';
import { type OpenedShared, openShared, portOf } from '../shared-redis/testing/opened-shared-redis.ts';
import { createReplica, noOpinion, type Replica } from './testing/cached-replica.ts';

const { info: print } = console;

const authenticators = 3;
/** Milliseconds: what Redis may cost a review in all, in equal parts. */
const timeout = 60;
const timeoutOfCall = timeout / authenticators;

/** Several authenticators that know no one and answer at once: a review takes what Redis costs. */
function createChain({ redis }: OpenedShared): readonly Replica[] {
  return Array.from({ length: authenticators }, (_, index) =>
    createReplica({ shared: redis, settings: { name: `${index}`, fingerprint: `${index}` }, answer: () => noOpinion }),
  );
}

/** Milliseconds that one review took. */
async function review(chain: readonly Replica[], token: string): Promise<number> {
  const start = performance.now();
  for (const { outcome } of chain) expect(await outcome(token)).toMatch(/^(backend|memory): no-opinion$/);
  return performance.now() - start;
}

/** What reviews take one after the other, until the circuit opens, and after that. */
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
  print(
    `${what}: ${until.length} reviews, the slowest ${slowest} ms, of ${timeout} ms; with the circuit open ${later} ms`,
  );
  expect(opened.lines).toEqual(['circuit of the cache Redis opened: it is down or slow']);
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
    await using opened = await openShared(redis, { servers: portOf(proxy.port), timeout: timeoutOfCall });
    const { until } = await measure(`slow, ${waiters} at once`, opened, waiters);
    // Five calls, of which each review makes at least one.
    expect(until.length / waiters).toBeLessThanOrEqual(5);
  },
);

test('a Redis that hangs costs a review its time in all, and then nothing', async () => {
  await using redis = await startRedis();
  await using opened = await openShared(redis, { timeout: timeoutOfCall });
  await redis.hang();
  const { until } = await measure('hangs', opened);
  expect(until.length).toBeLessThanOrEqual(5);
});

test('a Redis whose answers stop half-way does too', async () => {
  await using redis = await startRedis();
  // Some answers come, then a part of one.
  const plan: FaultPlan = { kind: 'stall', direction: 'to-client', after: 700 };
  await using proxy = await startFaultProxy({ target: { host: '127.0.0.1', port: redis.port }, plan: () => plan });
  await using opened = await openShared(redis, { servers: portOf(proxy.port), timeout: timeoutOfCall });
  const { until } = await measure('stalls', opened);
  // Those that came before the stall.
  expect(Math.min(...until)).toBeLessThan(timeout - 5);
});

test('authenticators of one review share its time, and no timeout makes them throw', async () => {
  await using redis = await startRedis();
  await using opened = await openShared(redis, { timeout: timeoutOfCall });
  const chain = createChain(opened);
  await redis.hang();
  const { calls } = opened;
  await review(chain, 'token');
  // Each authenticator asks, and then deletes, since Redis may hold a positive entry.
  expect(opened.calls).toBe(calls + 2 * authenticators);
  expect(chain.map(({ looks }) => looks.at(-1))).toEqual(new Array(authenticators).fill('redis error'));
});

test('a healthy Redis costs what a round trip takes', async () => {
  await using redis = await startRedis();
  await using opened = await openShared(redis, { timeout: timeoutOfCall });
  const chain = createChain(opened);
  const took: number[] = [];
  for (let count = 0; count < 200; count += 1) took.push(await review(chain, `token ${count}`));
  const median = took.sort((one, other) => one - other)[100] ?? 0;
  print(`healthy: ${median.toFixed(2)} ms for ${authenticators} authenticators (median)`);
  expect(median).toBeLessThan(timeout);
});
