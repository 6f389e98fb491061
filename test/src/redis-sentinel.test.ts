import type { RedisServer } from '@sallyport/test-servers/redis';
import { type RedisSentinels, startSentinels } from '@sallyport/test-servers/redis-sentinel';
import { issue, newToken, untilReplicated } from '@sallyport/test-servers/redis-tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operatorIn } from './testing/redis-commands.ts';
import {
  isRobot,
  type RobotGateway,
  refused,
  robots,
  startRobotGateway,
} from './testing/redis-gateway.ts';
import { type RobotQuestion, repeatUntil, startRobotLoad } from './testing/redis-load.ts';

const groups = ['valid', 'revoked', 'unknown'] as const;

/** Makes tokens of many users, some that are revoked and some that no one knows. */
async function questionsFor(sentinels: RedisSentinels): Promise<RobotQuestion[]> {
  const master = await sentinels.master();
  const serverOf = () => master;
  const questions: RobotQuestion[] = [];
  for (let number = 0; number < 8; number++) {
    const username = `ci-${number}`;
    const revoked = { username, revokedAt: '2026-05-01T00:00:00Z' };
    questions.push(
      { group: 'valid', token: await issue(serverOf, { username }), status: isRobot(username) },
      { group: 'revoked', token: await issue(serverOf, revoked), status: refused },
      {
        group: 'valid',
        token: await issue(serverOf, { username: `${username}-b` }),
        status: isRobot(`${username}-b`),
      },
      { group: 'unknown', token: newToken(), status: refused },
    );
  }
  await untilReplicated(master);
  return questions;
}

/** These tests start what they ended, and wait until all of it is healthy. */
describe('a gateway behind Sentinel', () => {
  let sentinels: RedisSentinels;
  let robotGateway: RobotGateway;
  beforeAll(async () => {
    sentinels = await startSentinels();
    // This is the maximum: a wait that is over sooner was not ended by it.
    const options = { sentinels: sentinels.addresses, name: sentinels.name, commandTimeout: '30s' };
    robotGateway = await startRobotGateway([robots(options, { circuit: { openFor: '500ms' } })]);
  });
  afterAll(async () => {
    await robotGateway[Symbol.asyncDispose]();
    await sentinels[Symbol.asyncDispose]();
  });

  /**
   * Under load, ends the master, and revokes a token at the next one. No answer is wrong ever, and none is an error before
   * the master went or after all was good; and the old master is never believed again.
   */
  async function failOver(
    end: (old: RedisServer) => Promise<unknown>,
    start: (old: RedisServer) => Promise<unknown>,
  ): Promise<void> {
    const { ask, client, gateway } = robotGateway;
    await using load = startRobotLoad(client, await questionsFor(sentinels));
    const operator = operatorIn(gateway.folder);
    const old = await sentinels.master();
    const joan = await issue(() => old, { username: 'joan' });
    await untilReplicated(old);
    await load.untilGood(0, groups);
    const went = performance.now();
    await end(old);
    await sentinels.untilPromoted(old);
    const good = await load.untilGood(performance.now(), groups);
    expect(await ask(joan)).toEqual(isRobot('joan'));
    expect(await operator.run(['revoke', '--user', 'robot:joan'])).toMatchObject({ code: 0 });
    expect(await ask(joan)).toEqual(refused);
    expect(load.errors().filter(({ answered }) => answered < went)).toEqual([]);
    expect(load.errors(good)).toEqual([]);
    const settled = start(old).then(() => sentinels.untilSettled());
    const statuses = await repeatUntil(settled, () => ask(joan));
    expect(statuses.filter(({ authenticated }) => authenticated)).toEqual([]);
    await load.untilGood(performance.now(), groups);
    expect(await ask(joan)).toEqual(refused);
    expect(load.wrong()).toEqual([]);
  }

  test('gives no wrong answer while another master is promoted, and soon knows all tokens again', async () => {
    // One sentinel goes with it: they often share a machine.
    const [sentinel] = sentinels.sentinels;
    await failOver(
      (old) => Promise.all([old.kill(), sentinel?.kill()]),
      (old) => Promise.all([old.start(), sentinel?.start()]),
    );
  });

  test('follows a promotion while a sentinel hangs', async () => {
    const options = { sentinels: sentinels.addresses, name: sentinels.name };
    await using other = await startRobotGateway([
      robots(options, { circuit: { openFor: '500ms' } }),
    ]);
    const old = await sentinels.master();
    const token = await issue(() => old, { username: 'ci' });
    await untilReplicated(old);
    expect(await other.ask(token)).toEqual(isRobot('ci'));
    // The gateway asks this sentinel first.
    const [sentinel] = sentinels.sentinels;
    await Promise.all([old.kill(), sentinel?.hang()]);
    await sentinels.untilPromoted(old);
    await waitFor(
      async () => (await other.ask(token)).authenticated,
      'the new master to accept the token',
    );
    await Promise.all([old.start(), sentinel?.start()]);
    await sentinels.untilSettled();
  });

  test('follows a promotion when the old master hangs, and never believes that one again once it goes on', async () => {
    const { lines } = robotGateway.gateway.output;
    const from = lines.length;
    await failOver(
      (old) => old.hang(),
      (old) => old.start(),
    );
    // The promotion ended its connection, and not the deadline of a command. Attempts to connect have deadlines of their
    // own ("not connected: no answer in time").
    const reasons = lines.slice(from).map(({ reason }) => String(reason));
    expect(reasons.filter((reason) => / the connection was closed$/.test(reason))).not.toEqual([]);
    expect(reasons.filter((reason) => /\d: no answer in time$/.test(reason))).toEqual([]);
  });
});
