import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { startRedis } from '@sallyport/test-servers/redis';
import { startSentinels } from '@sallyport/test-servers/redis-sentinel';
import { issue, newToken, untilReplicated } from '@sallyport/test-servers/redis-tokens';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { sealingKey, shared, startCacheGateway } from './testing/cache-gateway.ts';
import { runCommand } from './testing/command.ts';
import type { Gateway } from './testing/gateway.ts';
import {
  breakGlass,
  closedCircuit,
  isRobot,
  type RobotGateway,
  refused,
  robots,
  startRobotGateway,
  unavailable,
} from './testing/redis-gateway.ts';
import { authenticated, startScriptedBackend } from './testing/scripted-backend.ts';

const isAda = { authenticated: true, user: { username: 'ada' } };

test('while Redis is away, tokens could not be checked, another authenticator goes on, and all recover after its start', async () => {
  await using redis = await startRedis();
  const { entry, files, token: ada } = breakGlass('ada');
  const [ci, unknown] = [await issue(() => redis, { username: 'ci' }), newToken()];
  const gone = await issue(() => redis, { username: 'jane', revokedAt: '2026-05-01T00:00:00Z' });
  await redis.stop();
  await using robotGateway = await startRobotGateway(
    [robots({ url: redis.url }, closedCircuit), entry],
    { files },
  );
  const { ask, gateway, metric } = robotGateway;
  for (const end of [undefined, 'stop', 'kill'] as const) {
    if (end !== undefined) await redis[end]();
    // The lookups that the closing connection ends do not count: the first lookup finds it closed.
    await waitFor(async () => (await metric('connected')) === 0, 'the gateway to see it');
    for (const token of [ci, gone, unknown]) expect(await ask(token)).toEqual(unavailable);
    expect(await ask(ada)).toEqual(isAda);
    await redis.start();
    await waitFor(
      async () => (await ask(ci)).authenticated,
      `ci to be let in after ${end ?? 'a late start'}`,
    );
    for (const token of [gone, unknown]) expect(await ask(token)).toEqual(refused);
  }
  expect(await metric('connected')).toBe(1);
  expect(gateway.output.lines.filter(({ msg }) => msg === 'connected to Redis')).toHaveLength(3);
});

test('a token without an end that was revoked comes back by a backup alone, until it is revoked again', async () => {
  await using redis = await startRedis();
  const token = await issue(() => redis, { username: 'ci' });
  const start = () => startRobotGateway([robots({ url: redis.url }, closedCircuit)]);
  const revoke = ({ gateway: { folder } }: RobotGateway) =>
    runCommand(['revoke', '--user', 'robot:ci', '--config', 'gateway.yaml'], { cwd: folder });
  const [key = ''] = await redis.client().keys('sallyport:token:*');
  const backup = await redis.client().dumpBuffer(key);
  {
    await using robotGateway = await start();
    expect(await robotGateway.ask(token)).toEqual(isRobot('ci'));
    expect(await revoke(robotGateway)).toMatchObject({ code: 0 });
    expect(await robotGateway.ask(token)).toEqual(refused);
  }
  for (const end of ['stop', 'kill'] as const) {
    await redis[end]();
    await redis.start();
    await using restarted = await start();
    expect(await restarted.ask(token)).toEqual(refused);
  }
  // As docs/redis.md says of a backup.
  await redis.client().restore(key, 0, backup ?? '', 'REPLACE');
  await using restored = await start();
  expect(await restored.ask(token)).toEqual(isRobot('ci'));
  expect(await revoke(restored)).toMatchObject({ code: 0 });
  expect(await restored.ask(token)).toEqual(refused);
});

const openingsOf = ({ output }: Gateway) =>
  output.lines.filter(({ msg }) => msg.startsWith('circuit opened')).length;

/** Counts the lookups that waited for Redis. Others failed immediately: no connection, or an open circuit. */
function waitsOf({ output }: Gateway): number {
  const isWait = /^redis:\S+ no answer in time$|^no answer within /;
  return output.lines.filter(({ reason }) => isWait.test(String(reason))).length;
}

test('when Redis accepts and never answers, a few lookups wait, and all recover once it goes on', async () => {
  await using redis = await startRedis();
  const first = robots(
    { url: redis.url, commandTimeout: '400ms' },
    { circuit: { openFor: '500ms' } },
  );
  const { entry, files, token: ada } = breakGlass('ada');
  await using robotGateway = await startRobotGateway([first, entry], { files });
  const { ask, gateway } = robotGateway;
  const token = await issue(() => redis, { username: 'ci' });
  await waitFor(async () => (await ask(token)).authenticated, 'the token to be accepted');
  const before = { waits: waitsOf(gateway), openings: openingsOf(gateway) };
  await redis.hang();
  for (let left = 50; left > 0; left -= openingsOf(gateway) > before.openings ? 1 : 0) {
    expect(await ask(token)).toEqual(unavailable);
  }
  const [waits, openings] = [
    waitsOf(gateway) - before.waits,
    openingsOf(gateway) - before.openings,
  ];
  // Five failures open the circuit, and one opens a half-open one again.
  expect(waits).toBeGreaterThanOrEqual(1);
  expect(waits).toBeLessThanOrEqual(5 + openings - 1);
  expect(await ask(ada)).toEqual(isAda);
  await redis.start();
  await waitFor(
    async () => (await ask(token)).authenticated,
    'the token to be accepted after the thaw',
  );
});

/** Keys of a circuit that stays open for longer than any test. */
const longCircuit = { circuit: { openFor: '1h' } };

async function untilOpened({ ask, gateway }: RobotGateway, token: string): Promise<void> {
  const hasOpened = async () => {
    expect(await ask(token)).toEqual(unavailable);
    return openingsOf(gateway) > 0;
  };
  await waitFor(hasOpened, 'the circuit to open');
}

test.each(['stop', 'hang'] as const)(
  'after a %s of Redis the circuit closes as soon as there is a connection, however long openFor is',
  async (end) => {
    await using redis = await startRedis();
    const token = await issue(() => redis, { username: 'ci' });
    await using robotGateway = await startRobotGateway([
      robots({ url: redis.url, commandTimeout: '1s' }, longCircuit),
    ]);
    await waitFor(
      async () => (await robotGateway.ask(token)).authenticated,
      'the token to be accepted',
    );
    await redis[end]();
    await untilOpened(robotGateway, token);
    await redis.start();
    await waitFor(
      async () => (await robotGateway.ask(token)).authenticated,
      'the token to be accepted again',
    );
    expect(openingsOf(robotGateway.gateway)).toBe(1);
  },
);

test('after a failover the circuit closes as soon as there is a connection to the new master', async () => {
  await using sentinels = await startSentinels();
  const old = await sentinels.master();
  const token = await issue(() => old, { username: 'ci' });
  await untilReplicated(old);
  const options = { sentinels: sentinels.addresses, name: sentinels.name };
  await using robotGateway = await startRobotGateway([robots(options, longCircuit)]);
  await waitFor(
    async () => (await robotGateway.ask(token)).authenticated,
    'the token to be accepted',
  );
  await old.kill();
  await untilOpened(robotGateway, token);
  await waitFor(
    async () => (await robotGateway.ask(token)).authenticated,
    'the token to be accepted again',
  );
});

/** Limits the file descriptors of the process. Those that are open stay open. */
async function limitFiles(pid: number, limit: number): Promise<void> {
  await promisify(execFile)('prlimit', ['--pid', String(pid), `--nofile=${limit}:`]);
}

test('a gateway without a file descriptor for Redis takes Redis for well, and goes on when it has one', async () => {
  await using redis = await startRedis();
  const backend = await startScriptedBackend();
  await using gateway = await startCacheGateway({
    authenticators: [robots({ url: redis.url }), shared(backend, 'corp')],
    redis: { url: redis.url },
    keys: [sealingKey()],
  });
  const { gateway: own, ask, metric } = gateway;
  const token = await issue(() => redis, { username: 'ci' });
  const isAdaIn = async () => {
    const person = randomToken();
    backend.answer(person, authenticated('ada'));
    return (await ask(person)).authenticated;
  };
  // The connection that is lost is an outage until a new one is tried: these 40 answers outweigh it.
  for (let count = 0; count < 40; count += 1) {
    expect(await ask(token)).toEqual(isRobot('ci'));
    expect(await isAdaIn()).toBe(true);
  }
  await limitFiles(own.pid, 3);
  await redis.client().call('CLIENT', 'KILL', 'SKIPME', 'yes');
  await waitFor(async () => (await ask(token)).error !== undefined, 'the connection to go');
  const isShortage =
    /: not connected: this process has no file descriptor left \(EMFILE\): raise its limit/;
  const shortages = () =>
    own.output.lines.filter(({ reason }) => isShortage.test(String(reason))).length;
  // These are enough to open a circuit, if they were outages.
  for (let count = 0; count < 100 || shortages() < 20; count += 1) {
    expect(await ask(token)).toEqual(unavailable);
    expect(await isAdaIn()).toBe(true);
  }
  await limitFiles(own.pid, 1024);
  await waitFor(async () => (await ask(token)).authenticated, 'the robot to get in again');
  for (const { msg } of own.output.lines) expect(msg).not.toMatch(/circuit opened|config reload/);
  expect(
    await metric('sallyport_plugin_redis_errors_total', 'kind="local"'),
  ).toBeGreaterThanOrEqual(20);
});
