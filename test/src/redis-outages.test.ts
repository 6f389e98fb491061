import { startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
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
import { issue, newToken } from './testing/redis-tokens.ts';
import { randomToken } from './testing/tokens.ts';

const isAda = { authenticated: true, user: { username: 'ada' } };

/** How often the circuit opened. */
function openings({ gateway }: RobotGateway): number {
  return gateway.output.lines.filter(({ msg }) => msg.startsWith('circuit opened')).length;
}

/** How many lookups waited for Redis: the others failed at once: there was no connection, or an open circuit. */
function waits({ gateway }: RobotGateway): number {
  const isWait = /^redis:\S+ no answer in time$|^no answer within /;
  return gateway.output.lines.filter(({ reason }) => isWait.test(String(reason))).length;
}

/** Asks one after the other until the circuit has opened, and 50 times more. */
async function askWhileHung(robotGateway: RobotGateway, token: string): Promise<number[]> {
  const times: number[] = [];
  for (let more = 50; more > 0; more -= openings(robotGateway) > 0 ? 1 : 0) {
    const began = performance.now();
    expect(await robotGateway.ask(token)).toEqual(unavailable);
    times.push(performance.now() - began);
    if (times.length > 500) throw new Error('500 lookups, and the circuit is closed still');
  }
  return times;
}

describe.concurrent('while Redis is away', () => {
  test('tokens could not be checked, another authenticator goes on, and all recover after its start', async () => {
    await using redis = await startRedis();
    const { entry, files, token: ada } = breakGlass('ada');
    await using robotGateway = await startRobotGateway([robots({ url: redis.url }, closedCircuit), entry], { files });
    const { ask, gateway, metric } = robotGateway;
    const [ci, unknown] = [await issue(() => redis, { username: 'ci' }), newToken()];
    const gone = await issue(() => redis, { username: 'jane', revokedAt: '2026-05-01T00:00:00Z' });
    for (const end of ['stop', 'kill'] as const) {
      await redis[end]();
      // What the closing connection takes along is in none of the answers: the first lookup finds it closed.
      await waitFor(async () => (await metric('connected')) === 0, 'the gateway to see it');
      for (const token of [ci, gone, unknown]) expect(await ask(token)).toEqual(unavailable);
      expect(await ask(ada)).toEqual(isAda);
      await redis.start();
      await waitFor(async () => (await ask(ci)).authenticated, `ci to be let in after ${end}`);
      for (const token of [gone, unknown]) expect(await ask(token)).toEqual(refused);
    }
    expect(await metric('connected')).toBe(1);
    expect(gateway.output.lines.filter(({ msg }) => msg === 'connected to Redis')).toHaveLength(3);
  });

  test('the gateway starts all the same, and lets robots in once it is there', async () => {
    await using redis = await startRedis();
    const token = await issue(() => redis, { username: 'ci' });
    await redis.stop();
    const { entry, files, token: ada } = breakGlass('ada');
    await using robotGateway = await startRobotGateway([robots({ url: redis.url }, closedCircuit), entry], { files });
    const { ask } = robotGateway;
    expect(await ask(token)).toEqual(unavailable);
    expect(await ask(ada)).toEqual(isAda);
    await redis.start();
    await waitFor(async () => (await ask(token)).authenticated, 'the token to be accepted');
  });

  test('with onError: stop no other authenticator is asked', async () => {
    await using redis = await startRedis();
    const { entry, files, token: ada } = breakGlass('ada');
    const first = robots({ url: redis.url, tokenPattern: '[A-Za-z0-9_-]+' }, { onError: 'stop' });
    await using robotGateway = await startRobotGateway([first, entry], { files });
    expect(await robotGateway.ask(ada)).toEqual(isAda);
    await redis.stop();
    expect(await robotGateway.ask(ada)).toEqual(unavailable);
  });
});

describe.concurrent('when Redis accepts and never answers', () => {
  test.each([
    ['commandTimeout', { commandTimeout: '400ms' }, {}],
    ['timeout', { commandTimeout: '20s' }, { timeout: '400ms' }],
  ])(
    'lookups cost a few times its %s, then nothing, and all recover once it goes on',
    async (which, options, entry) => {
      const limit = 400;
      await using redis = await startRedis();
      const first = robots({ url: redis.url, ...options }, { ...entry, circuit: { openFor: '500ms' } });
      const { entry: second, files, token: ada } = breakGlass('ada');
      await using robotGateway = await startRobotGateway([first, second], { files });
      const { ask } = robotGateway;
      const token = await issue(() => redis, { username: 'ci' });
      expect(await ask(token)).toEqual(isRobot('ci'));
      await redis.hang();
      const times = await askWhileHung(robotGateway, token);
      const [waited, opened] = [waits(robotGateway), openings(robotGateway)];
      const sum = times.filter((time) => time < limit).reduce((total, time) => total + time, 0);
      console.info(
        `${which}: of ${times.length} lookups of a Redis that hangs ${waited} waited ${limit} ms, ` +
          `the others were answered at once, in ${Math.round(sum)} ms together`,
      );
      // Five open the circuit, and one that is half-open opens it again.
      expect(waited).toBeGreaterThanOrEqual(1);
      expect(waited).toBeLessThanOrEqual(5 + opened - 1);
      expect(times.toSorted((one, other) => one - other)[Math.floor(times.length / 2)]).toBeLessThan(limit);
      expect(await ask(ada)).toEqual(isAda);
      await redis.start();
      const began = performance.now();
      await waitFor(async () => (await ask(token)).authenticated, 'the token to be accepted after the thaw');
      console.info(`${which}: accepted ${Math.round(performance.now() - began)} ms after the thaw`);
      expect(await ask(newToken())).toEqual(refused);
    },
  );

  test('a hundred lookups at once cost one deadline, and not one for each', async () => {
    await using redis = await startRedis();
    await using robotGateway = await startRobotGateway([robots({ url: redis.url, commandTimeout: '500ms' })]);
    const { ask } = robotGateway;
    const token = await issue(() => redis, { username: 'ci' });
    expect(await ask(token)).toEqual(isRobot('ci'));
    await redis.hang();
    const began = performance.now();
    const answers = await Promise.all(Array.from({ length: 100 }, () => ask(token)));
    const took = performance.now() - began;
    console.info(`100 lookups at once of a Redis that hangs: ${Math.round(took)} ms (commandTimeout 500 ms)`);
    expect(answers).toEqual(answers.map(() => unavailable));
    expect(took).toBeLessThan(5 * 500);
  });

  test('the gateway ends in its time, and answers those who wait', async () => {
    await using redis = await startRedis();
    await using robotGateway = await startRobotGateway([robots({ url: redis.url, commandTimeout: '1s' })]);
    const { ask, gateway } = robotGateway;
    await redis.hang();
    const answers = Promise.all([newToken(), newToken(), randomToken()].map((token) => ask(token)));
    await gateway.output.waitForLine(({ outcome }) => outcome === 'unknown', 'of the one that is no token of Redis');
    await gateway.stop();
    expect(await answers).toEqual([unavailable, unavailable, refused]);
  });
});
