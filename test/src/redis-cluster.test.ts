import type { RedisServer } from '@sallyport/test-servers/redis';
import type { RedisCluster } from '@sallyport/test-servers/redis-cluster';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ClusterGateway, startClusterGateway } from './testing/redis-cluster-gateway.ts';
import { type ListedToken, type Operator, operatorIn } from './testing/redis-commands.ts';
import { isRobot, refused, unavailable } from './testing/redis-gateway.ts';
import { type Question, type RobotLoad, repeatUntil, startRobotLoad } from './testing/redis-load.ts';

/** Only the tokens of the node that went may fail: all nodes share one circuit. `from` is a number of log lines. */
function expectOthersUnharmed({ robotGateway, groups }: ClusterGateway, load: RobotLoad, from: number): void {
  expect(load.wrong()).toEqual([]);
  for (const group of groups.slice(1)) expect(load.errors(0, group)).toEqual([]);
  const lines = robotGateway.gateway.output.lines.slice(from);
  expect(lines.filter(({ msg }) => msg.includes('circuit opened'))).toEqual([]);
}

async function listed(operator: Operator): Promise<string[]> {
  const { tokens } = (await operator.json('token', 'list')) as { tokens: ListedToken[] };
  return tokens.map(({ digest }) => digest).sort();
}

/** The first master and its replica, which have a third of all slots. Either may be the master later. */
function firstShard({ nodes }: RedisCluster): RedisServer[] {
  return nodes.filter((_, index) => index % 3 === 0);
}

const ms = (from: number, to: number): string => `${Math.round(to - from)} ms`;

/** Ends a master under load, and expects that all other nodes answer as before, and all of them soon after. */
async function failOver(all: ClusterGateway, what: string, end: 'kill' | 'hang'): Promise<void> {
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
  const promoted = performance.now();
  const good = await load.untilGood(promoted, groups);
  expect(await listed(operator)).toEqual(all.digests);
  expect(await ask(jane)).toEqual(isRobot('jane'));
  expect(await operator.run(['revoke', '--token'], jane)).toMatchObject({ code: 0 });
  // The old node begins with what it knew: it has to learn that it is no master any more.
  const settled = old?.start().then(() => cluster.untilSettled()) ?? Promise.reject();
  const statuses = await repeatUntil(settled, () => ask(jane));
  expect(statuses).toEqual(statuses.map(() => refused));
  await load.untilGood(performance.now(), groups);
  await load.stop();
  const errors = load.errors(0, 'node 0');
  const last = Math.max(promoted, ...errors.map(({ answered }) => answered));
  const slowest = Math.max(...errors.map(({ asked, answered }) => answered - asked));
  console.info(
    `${what}: promoted after ${ms(went, promoted)}; ${errors.length} of ${load.answers.length} lookups ` +
      `were errors, all of that node, the slowest ${ms(0, slowest)}, the last ${ms(promoted, last)} after the promotion`,
  );
  expectOthersUnharmed(all, load, from);
  expect(errors.filter(({ answered }) => answered < went)).toEqual([]);
  expect(load.errors(good)).toEqual([]);
  expect(await listed(operator)).toEqual(all.digests);
}

/** Each test starts what it ended, and waits until all of them are healthy. */
describe('a gateway in front of one cluster', () => {
  let all: ClusterGateway;
  beforeAll(async () => {
    all = await startClusterGateway();
  });
  afterAll(() => all[Symbol.asyncDispose]());

  const askAll = (some: readonly Question[]) => Promise.all(some.map(({ token }) => all.robotGateway.ask(token)));

  async function untilWell(ended: readonly RedisServer[]): Promise<void> {
    await Promise.all(ended.map((node) => node.start()));
    await all.cluster.untilSettled();
    await waitFor(
      async () => (await askAll(all.questions)).every(({ error }) => error === undefined),
      'all to be well',
    );
  }

  test('answers for all other nodes as if nothing was after the kill of one, and soon for all again', async () => {
    await failOver(all, 'kill of redis-server', 'kill');
  });

  test.each([
    ['is gone', 'kill'],
    ['hangs', 'hang'],
  ] as const)('of which a part %s goes on for the others, however often that part is asked', async (_name, end) => {
    const { cluster, questions } = all;
    const [part, others] = [questions.slice(0, 5), questions.slice(5)];
    const statuses = (some: readonly Question[]) => some.map(({ status }) => status);
    // No replica is asked, since it may not know yet what was revoked: it is no matter that all of them hang.
    const masters = await cluster.masters();
    const replicas = cluster.nodes.filter((node) => !masters.includes(node));
    for (const replica of replicas) await replica.hang();
    expect(await askAll(questions)).toEqual(statuses(questions));
    for (const replica of replicas) await replica.start();
    const shard = firstShard(cluster);
    for (const node of shard) await node[end]();
    // Far more than half of all calls fail: as outages they would open the circuit.
    for (let round = 0; round < 5; round++) {
      const asked = Array.from({ length: round === 0 ? 10 : 4 }, () => part).flat();
      expect(await askAll(asked)).toEqual(asked.map(() => unavailable));
      expect(await askAll(others)).toEqual(statuses(others));
    }
    await untilWell(shard);
    expect(await askAll(questions)).toEqual(statuses(questions));
  });

  test('that has lost slots lists nothing rather than a part, and revokes nothing of what it can not see', async () => {
    const { cluster, robotGateway } = all;
    const operator = operatorIn(robotGateway.gateway.folder);
    const shard = firstShard(cluster);
    for (const node of shard) await node.kill();
    for (const words of [
      ['token', 'list'],
      ['token', 'list', '-o', 'json'],
      ['revoke', '--user', 'robot:ci-0-0'],
    ]) {
      const { code, stdout, stderr } = await operator.run(words);
      expect([words, code]).toEqual([words, 1]);
      expect(stdout).not.toMatch(/ci-|"digest"/);
      expect(stderr).toMatch(/^sallyport: .*(is unreachable|no node serves)/m);
      expect(stderr).not.toMatch(/ioredis|\n\s+at /);
    }
    expect(await operator.run(['check'])).toMatchObject({ code: 1 });
    await untilWell(shard);
    expect(await listed(operator)).toEqual(all.digests);
    expect(await operator.run(['check'])).toMatchObject({ code: 0 });
  });
});

test('a gateway in front of a cluster of valkey-server answers as well after one hangs', async () => {
  await using all = await startClusterGateway({ program: 'valkey-server' });
  await failOver(all, 'hang of valkey-server', 'hang');
});
