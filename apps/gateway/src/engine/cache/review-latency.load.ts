import { type FaultPlan, startFaultProxy } from '@sallyport/test-servers/fault-proxy';
import { startRedis } from '@sallyport/test-servers/redis';
import { expect, test } from 'vitest';
import {
  type OpenedShared,
  openShared,
  portOf,
} from '../shared-redis/testing/opened-shared-redis.ts';
import { createReplica, noOpinion } from './testing/cached-replica.ts';

const { info: print } = console;

const authenticators = 3;
/** The time that Redis may cost a review in all, in equal parts. Milliseconds. */
const timeout = 60;
const timeoutOfCall = timeout / authenticators;

/** Measures a review through authenticators that know no one and answer immediately: what Redis costs. Milliseconds. */
function createReview({ redis }: OpenedShared): (token: string) => Promise<number> {
  const chain = Array.from({ length: authenticators }, (_, index) =>
    createReplica({
      shared: redis,
      settings: { name: `${index}`, fingerprint: `${index}` },
      answer: () => noOpinion,
    }),
  );
  return async (token) => {
    const start = performance.now();
    for (const { outcome } of chain) await outcome(token);
    return performance.now() - start;
  };
}

test.each<[string, number, FaultPlan]>([
  ['is slow', 1, { kind: 'delay', time: 10 * timeout }],
  ['is slow, with 20 at a time', 20, { kind: 'delay', time: 10 * timeout }],
  ['stops in the middle of an answer', 1, { kind: 'stall', direction: 'to-client', after: 700 }],
])(
  'a Redis costs a review its time in all, and then nothing, when it %s',
  async (what, waiters, plan) => {
    await using redis = await startRedis();
    await using proxy = await startFaultProxy({
      target: { host: '127.0.0.1', port: redis.port },
      plan: () => plan,
    });
    await using opened = await openShared(redis, {
      servers: portOf(proxy.port),
      timeout: timeoutOfCall,
    });
    const review = createReview(opened);
    const until: number[] = [];
    for (let at = 0; opened.lines.length === 0; at += 1)
      until.push(
        ...(await Promise.all(Array.from({ length: waiters }, () => review(`token ${at}`)))),
      );
    const after: number[] = [];
    for (let count = 0; count < 100; count += 1) after.push(await review(`later ${count}`));
    const [slowest, later] = [Math.max(...until), Math.max(...after)];
    print(
      `${what}: the slowest of ${until.length} ${slowest.toFixed(1)} ms; with the circuit open ${later.toFixed(1)} ms`,
    );
    expect(slowest).toBeGreaterThan(timeout - 5);
    expect(slowest).toBeLessThan(5 * timeout);
    expect(later).toBeLessThan(timeout);
  },
);

test('a healthy Redis costs what a round trip takes', async () => {
  await using redis = await startRedis();
  await using opened = await openShared(redis, { timeout: timeoutOfCall });
  const review = createReview(opened);
  const took: number[] = [];
  for (let count = 0; count < 200; count += 1) took.push(await review(`token ${count}`));
  const median = took.sort((one, other) => one - other)[100] ?? 0;
  print(`healthy: ${median.toFixed(2)} ms for ${authenticators} authenticators (median)`);
  expect(median).toBeLessThan(timeout);
});
