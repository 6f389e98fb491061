import { startCluster } from '@sallyport/test-servers/redis-cluster';
import { startSentinels } from '@sallyport/test-servers/redis-sentinel';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, test } from 'vitest';
import { startPair } from './testing/cache-pair.ts';
import { cachedAnswers } from './testing/redis-contents.ts';

describe('answers stay right, and are shared again', () => {
  test('when another master is promoted by Sentinel, and when the old one has come back', async () => {
    await using sentinels = await startSentinels();
    await using pair = await startPair({ sentinels: sentinels.addresses, name: sentinels.name });
    await pair.untilShared();
    const old = await sentinels.master();
    await old.kill();
    await pair.ask();
    await sentinels.untilPromoted(old);
    await pair.ask();
    await pair.untilShared();
    await old.start();
    await pair.ask();
    await sentinels.untilSettled();
    await pair.untilShared();
  });

  test('when the master of a third of all slots of a Cluster was killed', async () => {
    await using cluster = await startCluster();
    await using pair = await startPair({
      cluster: cluster.nodes.map(({ port }) => `127.0.0.1:${port}`),
    });
    await pair.untilShared();
    // This is the node with the revocation list, by which replicas find out whether Redis is healthy.
    const old = await cluster.masterOf('{revocations}');
    await old.kill();
    await pair.ask();
    await cluster.untilPromoted(old);
    const promoted = await cluster.masterOf('{revocations}');
    const before = await cachedAnswers(promoted);
    await waitFor(async () => {
      const isShared = await pair.isShared();
      return isShared && (await cachedAnswers(promoted)).some((key) => !before.includes(key));
    }, 'answers to be shared by the new master, too');
  });
});
