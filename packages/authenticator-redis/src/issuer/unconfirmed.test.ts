import {
  type RedisServer,
  startRedis,
  startReplica,
  untilInSync,
} from '@sallyport/test-servers/redis';
import { startCluster } from '@sallyport/test-servers/redis-cluster';
import { startSentinels } from '@sallyport/test-servers/redis-sentinel';
import { expect, test } from 'vitest';
import { collect, never, startIssuer } from '../testing/plugin.ts';

/** Revokes a new token while all replicas hang. */
async function expectReported(
  written: Record<string, unknown>,
  replicas: readonly RedisServer[],
  expected: true | undefined,
): Promise<void> {
  await using started = await startIssuer(written);
  const { issuer } = started;
  const revoke = async () => {
    const { issued } = await issuer.create({ user: { username: 'ci' }, issuedBy: 'jane' }, never);
    const revocation = { at: new Date(), by: 'security' };
    const [first] = await collect(issuer.revoke({ digest: issued.digest }, revocation, never));
    const [second] = await collect(issuer.revoke({ digest: issued.digest }, revocation, never));
    expect(second).toMatchObject({ already: true });
    return first !== undefined && 'unconfirmed' in first ? first.unconfirmed : undefined;
  };
  expect(await revoke()).toBeUndefined();
  await Promise.all(replicas.map((replica) => replica.hang()));
  expect(await revoke()).toBe(expected);
}

test('a revocation in one Redis is never reported as unconfirmed', async () => {
  await using redis = await startRedis();
  await expectReported({ url: redis.url }, [], undefined);
});

test('a revocation that no replica of a Redis has confirmed is reported', async () => {
  await using redis = await startRedis();
  await using replica = await startReplica(redis, {}, ({ port }) => port);
  await untilInSync(replica);
  await expectReported({ url: redis.url, layout: 'hash' }, [replica], true);
});

test('a revocation that no replica behind sentinels has confirmed is reported', async () => {
  await using sentinels = await startSentinels();
  const master = await sentinels.master();
  const replicas = sentinels.nodes.filter((node) => node !== master);
  await expectReported({ sentinels: sentinels.addresses, name: sentinels.name }, replicas, true);
});

test('a revocation that no replica of a cluster has confirmed is reported', async () => {
  await using cluster = await startCluster();
  const masters = await cluster.masters();
  const replicas = cluster.nodes.filter((node) => !masters.includes(node));
  await expectReported(
    { cluster: cluster.nodes.map(({ port }) => `127.0.0.1:${port}`) },
    replicas,
    true,
  );
});
