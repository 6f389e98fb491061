import { readFile } from 'node:fs/promises';
import type { RedisServer } from '@sallyport/test-servers/redis';
import { type RedisSentinels, startSentinels } from '@sallyport/test-servers/redis-sentinel';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operatorIn } from './testing/redis-commands.ts';
import { closedCircuit, isRobot, refused, robots, startRobotGateway } from './testing/redis-gateway.ts';
import { type Question, type RobotLoad, repeatUntil, startRobotLoad } from './testing/redis-load.ts';
import { issue, newToken, untilReplicated } from './testing/redis-tokens.ts';
import { randomToken, secret } from './testing/tokens.ts';

/** A command may take longer than any test here waits: a connection that is not given up is believed. */
const patient = { commandTimeout: '30s' };

const circuit = { openFor: '500ms' };

const groups = ['valid', 'revoked', 'unknown'] as const;

function options({ addresses, name }: RedisSentinels): object {
  return { sentinels: addresses, name };
}

/** Tokens of many users, some that are revoked and some that no one knows. */
async function questionsFor(sentinels: RedisSentinels): Promise<Question[]> {
  const master = await sentinels.master();
  const serverOf = () => master;
  const questions: Question[] = [];
  for (let number = 0; number < 8; number++) {
    const username = `ci-${number}`;
    const revoked = { username, revokedAt: '2026-05-01T00:00:00Z' };
    questions.push(
      { group: 'valid', token: await issue(serverOf, { username }), status: isRobot(username) },
      { group: 'revoked', token: await issue(serverOf, revoked), status: refused },
      { group: 'valid', token: await issue(serverOf, { username: `${username}-b` }), status: isRobot(`${username}-b`) },
      { group: 'unknown', token: newToken(), status: refused },
    );
  }
  await untilReplicated(master);
  return questions;
}

interface Moments {
  readonly went: number;
  readonly promoted: number;
  readonly good: number;
}

/** The time in whole milliseconds. */
const ms = (from: number, to: number): string => `${Math.round(to - from)} ms`;

/** Prints the figures of a failover in one line. */
function report(what: string, load: RobotLoad, { went, promoted, good }: Moments): void {
  const errors = load.errors();
  const last = Math.max(promoted, ...errors.map(({ answered }) => answered));
  console.info(
    `${what}: promoted after ${ms(went, promoted)}, ${errors.length} of ${load.answers.length} lookups were errors, ` +
      `the last ${ms(promoted, last)} after the promotion; good for sure ${ms(promoted, good)} after it`,
  );
}

/** Nothing is wrong ever, and nothing was an error before the master went or after all was good. */
function expectOnlyErrorsBetween(load: RobotLoad, { went, good }: Moments): void {
  expect(load.wrong()).toEqual([]);
  expect(load.errors().filter(({ answered }) => answered < went)).toEqual([]);
  expect(load.errors(good)).toEqual([]);
}

/** Under load, ends the master and waits until all lookups are good again. */
async function failOver(
  sentinels: RedisSentinels,
  load: RobotLoad,
  end: (old: RedisServer) => Promise<unknown>,
): Promise<Moments> {
  await load.untilGood(0, groups);
  const old = await sentinels.master();
  const went = performance.now();
  await end(old);
  await sentinels.untilPromoted(old);
  const promoted = performance.now();
  const good = await load.untilGood(promoted, groups);
  return { went, promoted, good };
}

/** Each test starts what it ended, and waits until all of them are healthy. */
describe('a gateway behind Sentinel', () => {
  let sentinels: RedisSentinels;
  beforeAll(async () => {
    sentinels = await startSentinels();
  });
  afterAll(() => sentinels[Symbol.asyncDispose]());

  test('gives no wrong answer while another master is promoted, and soon knows all tokens again', async () => {
    await using robotGateway = await startRobotGateway([robots({ ...options(sentinels), commandTimeout: '2s' })]);
    const { ask, client, gateway } = robotGateway;
    const jane = await issue(() => sentinels.master(), { username: 'jane' });
    await using load = startRobotLoad(client, await questionsFor(sentinels));
    const old = await sentinels.master();
    // One sentinel goes with it: they often share a machine.
    const [sentinel] = sentinels.sentinels;
    const moments = await failOver(sentinels, load, () => Promise.all([old.kill(), sentinel?.kill()]));
    expect(await ask(jane)).toEqual(isRobot('jane'));
    expect(await operatorIn(gateway.folder).run(['revoke', '--user', 'robot:jane'])).toMatchObject({ code: 0 });
    expect(await ask(jane)).toEqual(refused);
    await load.stop();
    report('killed', load, moments);
    expectOnlyErrorsBetween(load, moments);
    await Promise.all([old.start(), sentinel?.start()]);
    await sentinels.untilSettled();
  });

  test('follows one promotion after the other, while a sentinel hangs each time', async () => {
    await using robotGateway = await startRobotGateway([robots(options(sentinels), closedCircuit)]);
    const { ask } = robotGateway;
    const token = await issue(() => sentinels.master(), { username: 'ci' });
    const times: string[] = [];
    for (const sentinel of sentinels.sentinels.slice(0, 2)) {
      const old = await sentinels.master();
      await untilReplicated(old);
      expect(await ask(token)).toEqual(isRobot('ci'));
      // So the gateway looks for the master most of the time, and learns of the new one in the middle of it.
      await Promise.all([old.kill(), sentinel.hang()]);
      await sentinels.untilPromoted(old);
      const promoted = performance.now();
      await waitFor(async () => (await ask(token)).authenticated, 'the new master to accept the token');
      times.push(ms(promoted, performance.now()));
      await Promise.all([old.start(), sentinel.start()]);
      await sentinels.untilSettled();
    }
    console.info(`accepted ${times.join(', ')} after the promotions`);
  });

  test('follows a promotion when the old master hangs, and never believes that one again once it goes on', async () => {
    await using robotGateway = await startRobotGateway([robots({ ...options(sentinels), ...patient }, { circuit })]);
    const { ask, client, gateway } = robotGateway;
    await using load = startRobotLoad(client, await questionsFor(sentinels));
    const old = await sentinels.master();
    const joan = await issue(() => old, { username: 'joan' });
    await untilReplicated(old);
    // Within half of what one command may take: it is not that which ends the wait.
    const moments = await failOver(sentinels, load, () => old.hang());
    expect(await operatorIn(gateway.folder).run(['revoke', '--user', 'robot:joan'])).toMatchObject({ code: 0 });
    report('hangs', load, moments);
    expectOnlyErrorsBetween(load, moments);
    const settled = old.start().then(() => sentinels.untilSettled());
    const statuses = await repeatUntil(settled, () => ask(joan));
    expect(statuses.filter(({ authenticated }) => authenticated)).toEqual([]);
    await load.untilGood(performance.now(), groups);
    expect(await ask(joan)).toEqual(refused);
    expect(load.wrong()).toEqual([]);
    console.info(`asked ${statuses.length} times for what is revoked while the old master went on`);
  });

  test('keeps to TLS, passwords and an ACL over a promotion', async () => {
    const [password, sentinelPassword] = [randomToken(), randomToken()];
    const users = [`user gateway on >${password} resetkeys ~sallyport:token:* -@all +getrange +pttl +echo`];
    await using sentinels = await startSentinels({ tls: true, password: true, sentinelPassword, users });
    secret(sentinels.password ?? '');
    const secured = {
      sentinels: sentinels.addresses.map((address) => `rediss://${address}`),
      name: sentinels.name,
      caFile: 'tls/redis-ca.crt',
      username: 'gateway',
      password: { file: 'secrets/redis' },
      sentinelPassword: { env: 'SENTINEL_PASSWORD' },
    };
    const files = { 'tls/redis-ca.crt': await readFile(sentinels.caFile, 'utf8'), 'secrets/redis': password };
    const env = { SENTINEL_PASSWORD: sentinelPassword };
    await using robotGateway = await startRobotGateway([robots(secured, closedCircuit)], { files, env });
    const { ask, gateway } = robotGateway;
    const [old, operator] = [await sentinels.master(), operatorIn(gateway.folder, env)];
    const token = await issue(() => old, { username: 'ci' });
    await untilReplicated(old);
    expect(await ask(token)).toEqual(isRobot('ci'));
    expect(await operator.run(['check'])).toMatchObject({ code: 0 });
    await old.kill();
    await sentinels.untilPromoted(old);
    await waitFor(async () => (await ask(token)).authenticated, 'the new master to accept the token');
    expect(await ask(newToken())).toEqual(refused);
    expect(await operator.run(['check'])).toMatchObject({ code: 0 });
  });
});
