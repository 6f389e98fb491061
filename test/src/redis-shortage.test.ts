import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { startRedis } from '@sallyport/test-servers/redis';
import { expect, test } from 'vitest';
import { sealingKey, shared, startCacheGateway } from './fixtures/cache-gateway.ts';
import { isRobot, robots, unavailable } from './fixtures/redis-gateway.ts';
import { issue } from './fixtures/redis-tokens.ts';
import { authenticated, startScriptedBackend } from './fixtures/scripted-backend.ts';
import { randomToken } from './fixtures/tokens.ts';
import { waitFor } from './fixtures/wait-for.ts';

/** From now on the process gets no file descriptor of this number or above. What it has it keeps. */
async function limitFiles(pid: number, limit: number): Promise<void> {
  await promisify(execFile)('prlimit', ['--pid', String(pid), `--nofile=${limit}:`]);
}

test('a gateway without a file descriptor for Redis takes Redis for well, and goes on at once when it has one', async () => {
  await using redis = await startRedis();
  const backend = await startScriptedBackend();
  await using gateway = await startCacheGateway({
    authenticators: [robots({ url: redis.url }), shared(backend, 'corp')],
    redis: { url: redis.url },
    keys: [sealingKey()],
  });
  const { gateway: own, ask } = gateway;
  const token = await issue(() => redis, { username: 'ci' });
  expect(await ask(token)).toEqual(isRobot('ci'));
  // On a connection that is kept from here on.
  const shortages = () => gateway.metric('sallyport_plugin_redis_faults_total', 'kind="local"');
  expect(await shortages()).toBe(0);
  await limitFiles(own.pid, 3);
  await redis.client().call('CLIENT', 'KILL', 'SKIPME', 'yes');
  await waitFor(shortages, 'a try to connect');
  for (let count = 0; count < 20; count += 1) {
    expect(await ask(token)).toEqual(unavailable);
    const person = randomToken();
    backend.answer(person, authenticated('ada'));
    expect((await ask(person)).authenticated).toBe(true);
  }
  await limitFiles(own.pid, 1024);
  // An open circuit would keep it out for 5 s more.
  await waitFor(async () => (await ask(token)).authenticated, 'the robot to get in again');
  const { reason } = await own.waitForLog('authenticator could not check a token');
  expect(reason).toMatch(/: not connected: this process has no file descriptor left \(EMFILE\): raise its limit/);
  expect(await shortages()).toBeGreaterThan(20);
  const told = own.output.lines.map(({ msg }) => msg);
  for (const one of told) expect(one).not.toMatch(/left alone/);
});
