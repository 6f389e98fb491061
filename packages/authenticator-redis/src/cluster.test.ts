import { randomBytes } from 'node:crypto';
import type { RedisServer } from '@sallyport/test-servers/redis';
import { type RedisCluster, startCluster } from '@sallyport/test-servers/redis-cluster';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createRedisAuthenticator } from './authenticator.ts';
import {
  collect,
  never,
  outcomeOf,
  type StartedAuthenticator,
  startAuthenticator,
  startIssuer,
  tracedContext,
} from './testing/plugin.ts';
import { keyOf } from './testing/records.ts';
import { settled } from './testing/written-options.ts';
import { digestToken } from './token.ts';

const tokenCount = 60;
const names = Array.from({ length: tokenCount }, (_, index) => `robot-${index}`);

/** This cluster is of Valkey. The tests of the gateway use Redis. */
describe('a cluster of Valkey', () => {
  const password = randomBytes(12).toString('base64url');
  const users = [
    `user gateway on >${password} resetkeys ~sallyport:token:* -@all +getrange +pttl +echo +cluster|slots`,
    `user gateway-admin on >${password} resetkeys ~sallyport:token:* -@all +scan +getrange +pttl +echo +set +eval +role +wait +cluster|slots`,
  ];
  let cluster: RedisCluster;
  let options: Record<string, unknown>;
  let tokens: readonly string[];

  beforeAll(async () => {
    cluster = await startCluster({ program: 'valkey-server', users });
    // Two of six nodes are enough: the others are found.
    const seeds = cluster.nodes.slice(0, 2).map(({ port }) => `127.0.0.1:${port}`);
    options = {
      cluster: seeds,
      username: 'gateway',
      password,
      admin: { username: 'gateway-admin', password },
    };
    await using started = await startIssuer(options);
    const made = names.map((username) =>
      started.issuer.create({ user: { username }, issuedBy: 'test' }, never),
    );
    tokens = (await Promise.all(made)).map(({ token }) => token);
  });
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  async function askAll({ ask }: StartedAuthenticator): Promise<readonly string[]> {
    const decisions = await Promise.all(tokens.map((token) => ask(token)));
    return decisions.map((decision) =>
      decision.kind === 'authenticated' ? decision.user.username : decision.kind,
    );
  }

  test('is asked for tokens on all nodes, with the rights in the README', async () => {
    await Promise.all(cluster.nodes.map((node) => node.client().call('ACL', 'LOG', 'RESET')));
    await using started = await startAuthenticator(options);
    expect(await askAll(started)).toEqual(names);
    await started.check();
    expect(started.lines.map(({ message }) => message)).toEqual(['connected to Redis']);
    const denied = await Promise.all(cluster.nodes.map(deniedCommands));
    // ioredis asks for these two by itself, and goes on without them.
    expect(['readonly', 'client|setname']).toEqual(
      expect.arrayContaining([...new Set(denied.flat())]),
    );
  });

  test('lists the tokens of all its nodes, each once, and revokes them wherever they are', async () => {
    await using started = await startIssuer(options);
    const { issuer } = started;
    const listed = await collect(issuer.list({}, never));
    expect(listed.map(({ digest }) => digest).sort()).toEqual(tokens.map(digestToken).sort());
    const requests = names.map(() =>
      issuer.create({ user: { username: 'jane' }, issuedBy: 'test' }, never),
    );
    const made = await Promise.all(requests);
    const revoked = await collect(
      issuer.revoke({ username: 'jane' }, { at: new Date(), by: 'test' }, never),
    );
    expect(revoked).toHaveLength(names.length);
    await using gateway = await startAuthenticator(options);
    const outcomes = await Promise.all(made.map(({ token }) => outcomeOf(gateway.ask(token))));
    expect(new Set(outcomes)).toEqual(new Set(['rejected: revoked']));
    await Promise.all(made.map(async ({ token }) => await removeKey(keyOf(token))));
  });

  test('gets all lookups of one turn in one write to each node', async () => {
    await using started = await startAuthenticator(options);
    await askAll(started);
    const masters = await cluster.masters();
    const before = await Promise.all(masters.map(readsOf));
    await askAll(started);
    const after = await Promise.all(masters.map(readsOf));
    // INFO itself is one command. One by one, the lookups of a node would be some twenty.
    for (const [index, count] of after.entries())
      expect(count - (before[index] ?? 0)).toBeLessThanOrEqual(4);
  });

  test('may move its slots during lookups: none fails, and none has a wrong answer', async () => {
    await using started = await startAuthenticator(options);
    expect(await askAll(started)).toEqual(names);
    const masters = await cluster.masters();
    const replicas = await Promise.all(masters.map((master) => replicaOf(cluster, master)));
    // The masters live on as replicas, and answer each lookup of a write with MOVED and another slot.
    await Promise.all(replicas.map((replica) => replica.client().call('CLUSTER', 'FAILOVER')));
    await waitFor(async () => {
      expect(await askAll(started)).toEqual(names);
      return (await cluster.masters()).every((master) => replicas.includes(master));
    }, 'the replicas to have the slots');
    for (let round = 0; round < 5; round += 1) expect(await askAll(started)).toEqual(names);
    await cluster.untilSettled();
  });

  test('that is back as a whole is reported', async () => {
    const { context, traces } = tracedContext();
    let reconnections = 0;
    const counting = {
      ...context,
      backendReconnected() {
        reconnections += 1;
      },
    };
    const authenticator = await createRedisAuthenticator(settled(options), counting);
    onTestFinished(() => authenticator.close());
    await waitFor(() => reconnections === 1, 'the first connection');
    await Promise.all(cluster.nodes.map((node) => node.stop()));
    await waitFor(() => traces.values.get('connected') === 0, 'the end to be seen');
    await Promise.all(cluster.nodes.map((node) => node.start()));
    await cluster.untilSettled();
    await waitFor(() => reconnections > 1, 'a connection');
  });

  async function removeKey(key: string): Promise<void> {
    await (await cluster.masterOf(key)).client().del(key);
  }
});

async function readsOf(node: RedisServer): Promise<number> {
  const [, count] = /total_reads_processed:(\d+)/.exec(await node.client().info('stats')) ?? [];
  return Number(count);
}

async function deniedCommands(node: RedisServer): Promise<readonly string[]> {
  const entries = (await node.client().call('ACL', 'LOG')) as readonly (readonly unknown[])[];
  return entries.map((entry) => String(entry[entry.indexOf('object') + 1]));
}

async function replicaOf({ nodes }: RedisCluster, master: RedisServer): Promise<RedisServer> {
  for (const node of nodes) {
    const replication = await node.client().info('replication');
    if (replication.includes('role:slave') && replication.includes(`master_port:${master.port}\r`))
      return node;
  }
  throw new Error('it has no replica');
}
