import type { RedisServer } from '@sallyport/test-servers/redis';
import type { RedisCluster } from '@sallyport/test-servers/redis-cluster';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ClusterGateway, startClusterGateway } from './redis-cluster-gateway.ts';
import { type ListedToken, type Operator, operatorIn } from './testing/redis-commands.ts';
import { isRobot, refused, unavailable } from './testing/redis-gateway.ts';
import {
  type RobotLoad,
  type RobotQuestion,
  repeatUntil,
  startRobotLoad,
} from './testing/redis-load.ts';

/** Expects that only tokens of the ended node fail: all nodes share one circuit. `from` is a number of log lines. */
function expectOthersUnharmed(
  { robotGateway, groups }: ClusterGateway,
  load: RobotLoad,
  from: number,
): void {
  expect(load.wrong()).toEqual([]);
  for (const group of groups.slice(1)) expect(load.errors(0, group)).toEqual([]);
  const lines = robotGateway.gateway.output.lines.slice(from);
  expect(lines.filter(({ msg }) => msg.includes('circuit opened'))).toEqual([]);
}

async function listed(operator: Operator): Promise<string[]> {
  const { tokens } = (await operator.json('token', 'list')) as { tokens: ListedToken[] };
  return tokens.map(({ digest }) => digest).sort();
}

/** Finds the first master and its replica, which have a third of all slots. Either may be the master later. */
function firstShard({ nodes }: RedisCluster): RedisServer[] {
  return nodes.filter((_, index) => index % 3 === 0);
}

/** Ends a master under load, and expects that all other nodes answer as before, and all of them soon after. */
async function failOver(all: ClusterGateway, end: 'kill' | 'hang'): Promise<void> {
  const { cluster, robotGateway, groups, questions } = all;
  const { ask, client, gateway } = robotGateway;
  const operator = operatorIn(gateway.folder);
  const from = gateway.output.lines.length;
  const jane = await all.issueOn(0, 'jane');
  await using load = startRobotLoad(client, questions);
  await load.untilGood(0, groups);
  const [old] = await cluster.masters();
  const went = performance.now();
  await old?.[end]();
  await cluster.untilPromoted(old as RedisServer);
  const good = await load.untilGood(performance.now(), groups);
  expect(await listed(operator)).toEqual(all.digests);
  expect(await ask(jane)).toEqual(isRobot('jane'));
  // The new master has no replica until the old one is back.
  const stderr = expect.stringContaining(
    'no replica of the store of authenticator robots has confirmed it',
  );
  expect(await operator.run(['revoke', '--token'], jane)).toMatchObject({ code: 0, stderr });
  // The old node begins with what it knew: it has to learn that it is no master any more.
  const settled = old?.start().then(() => cluster.untilSettled()) ?? Promise.reject();
  const statuses = await repeatUntil(settled, () => ask(jane));
  expect(statuses).toEqual(statuses.map(() => refused));
  await load.untilGood(performance.now(), groups);
  await load.stop();
  expectOthersUnharmed(all, load, from);
  expect(load.errors(0, 'node 0').filter(({ answered }) => answered < went)).toEqual([]);
  expect(load.errors(good)).toEqual([]);
}

/** These tests start what they ended, and wait until all of it is healthy. */
describe('a gateway in front of one cluster', () => {
  let all: ClusterGateway;
  beforeAll(async () => {
    all = await startClusterGateway();
  });
  afterAll(() => all[Symbol.asyncDispose]());

  const askAll = (some: readonly RobotQuestion[]) =>
    Promise.all(some.map(({ token }) => all.robotGateway.ask(token)));

  test.each(['kill', 'hang'] as const)(
    'answers for all other nodes as if nothing was after the %s of one, and soon for all again',
    async (end) => {
      await failOver(all, end);
    },
  );

  test('that has lost slots answers for all others, lists nothing rather than a part, and revokes nothing', async () => {
    const { cluster, questions, robotGateway } = all;
    const operator = operatorIn(robotGateway.gateway.folder);
    const [part, others] = [questions.slice(0, 5), questions.slice(5)];
    const statuses = (some: readonly RobotQuestion[]) => some.map(({ status }) => status);
    const shard = firstShard(cluster);
    for (const node of shard) await node.kill();
    // Far more than half of all calls fail. If they were outages, they would open the circuit.
    for (let round = 0; round < 5; round++) {
      const asked = Array.from({ length: round === 0 ? 10 : 4 }, () => part).flat();
      expect(await askAll(asked)).toEqual(asked.map(() => unavailable));
      expect(await askAll(others)).toEqual(statuses(others));
    }
    for (const words of [
      ['token', 'list'],
      ['revoke', '--user', 'robot:ci-0-0'],
    ]) {
      const { code, stdout, stderr } = await operator.run(words);
      expect([words, code]).toEqual([words, 1]);
      expect(stdout).not.toMatch(/ci-|"digest"/);
      expect(stderr).toMatch(/^sallyport: .*(is unreachable|no node serves)/m);
      expect(stderr).not.toMatch(/ioredis|\n\s+at /);
    }
    await Promise.all(shard.map((node) => node.start()));
    await cluster.untilSettled();
    const areWell = async () => (await askAll(questions)).every(({ error }) => error === undefined);
    await waitFor(areWell, 'all to be well');
    expect(await askAll(questions)).toEqual(statuses(questions));
  });

  test('asks no replica, which may not know yet what was revoked', async () => {
    const { cluster, questions } = all;
    const masters = await cluster.masters();
    const replicas = cluster.nodes.filter((node) => !masters.includes(node));
    for (const replica of replicas) await replica.hang();
    expect(await askAll(questions)).toEqual(questions.map(({ status }) => status));
    for (const replica of replicas) await replica.start();
    await cluster.untilSettled();
  });
});
