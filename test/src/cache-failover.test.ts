import { setTimeout as pause } from 'node:timers/promises';
import { startCluster } from '@sallyport/test-servers/redis-cluster';
import { startSentinels } from '@sallyport/test-servers/redis-sentinel';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import {
  costOf,
  type Faults,
  type Latencies,
  redisTimeout,
  saidBy,
  startFaults,
  untilShared,
} from './testing/cache-faults.ts';
import { repeatUntil } from './testing/redis-load.ts';

/** Asks until `end` has come, with a pause in between: what takes the place of the old master needs the machine, too. */
function measureUntil(end: Promise<unknown>, { measure }: Faults): Promise<Latencies[]> {
  return repeatUntil(end, async () => {
    const latencies = await measure(1);
    await pause(25);
    return latencies;
  });
}

/** Both replicas ask Redis again: each circuit that opened has closed. */
async function untilAskedAgain({ one, other }: Faults): Promise<void> {
  const isAsked = (gateway: typeof one) =>
    saidBy(gateway, 'circuit of the cache Redis opened') === saidBy(gateway, 'circuit of the cache Redis closed');
  await waitFor(() => isAsked(one) && isAsked(other), 'both replicas to ask Redis again');
}

const inARow = 20;

async function untilAllShared(faults: Faults): Promise<void> {
  await waitFor(async () => {
    // In a cluster they are spread over all nodes.
    for (let token = 0; token < inARow; token++) if (!(await faults.isShared())) return false;
    return true;
  }, `${inARow} answers in a row to be shared`);
}

describe('answers stay right, reviews cost no more than cache.redis.timeout, and answers are shared again', () => {
  test('after another master is promoted by Sentinel, and after the old one has come back', async () => {
    await using sentinels = await startSentinels();
    await using faults = await startFaults({ sentinels: sentinels.addresses, name: sentinels.name });
    await untilShared(faults);
    const old = await sentinels.master();
    await old.kill();
    const during = await measureUntil(sentinels.untilPromoted(old), faults);
    const promoted = performance.now();
    await untilAllShared(faults);
    console.info(`shared again ${Math.round(performance.now() - promoted)} ms after the promotion`);
    const back = await measureUntil(
      old.start().then(() => sentinels.untilSettled()),
      faults,
    );
    await untilAllShared(faults);
    await untilAskedAgain(faults);
    expect(costOf('Sentinel', [...during, ...back]).worst).toBeLessThan(5 * redisTimeout);
  });

  test('after the master of a third of all slots of a Cluster was killed', async () => {
    await using cluster = await startCluster();
    await using faults = await startFaults({ cluster: cluster.nodes.map(({ port }) => `127.0.0.1:${port}`) });
    await untilAllShared(faults);
    // The one that has the revocation list: by it replicas find out whether Redis is healthy.
    const old = await cluster.masterOf('{revocations}');
    await old.kill();
    const during = await measureUntil(cluster.untilPromoted(old), faults);
    const promoted = performance.now();
    await untilAllShared(faults);
    console.info(`shared again ${Math.round(performance.now() - promoted)} ms after the promotion`);
    await untilAskedAgain(faults);
    expect(costOf('Cluster', during).worst).toBeLessThan(5 * redisTimeout);
  });
});
