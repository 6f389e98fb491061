import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { sealingKey, shared, startCacheGateway } from './testing/cache-gateway.ts';
import type { LogLine } from './testing/output.ts';
import { isRobot, robots, unavailable } from './testing/redis-gateway.ts';
import { issue } from './testing/redis-tokens.ts';
import { authenticated, startScriptedBackend } from './testing/scripted-backend.ts';
import { randomToken, secret } from './testing/tokens.ts';

/** From now on the process gets no file descriptor of this number or above. Those that are open stay open. */
async function limitFiles(pid: number, limit: number): Promise<void> {
  await promisify(execFile)('prlimit', ['--pid', String(pid), `--nofile=${limit}:`]);
}

test('a gateway without a file descriptor for Redis takes Redis for well, and goes on at once when it has one', async () => {
  await using redis = await startRedis();
  const backend = await startScriptedBackend();
  const later = robots({ url: redis.url, tokenPrefix: 'later_' }, { name: 'later' });
  await using gateway = await startCacheGateway({
    authenticators: [robots({ url: redis.url }), later, shared(backend, 'corp')],
    redis: { url: redis.url },
    keys: [sealingKey()],
  });
  const { gateway: own, ask } = gateway;
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
  // Longer than the pause before the first try to connect anew, and enough for a circuit to open.
  const end = performance.now() + 500;
  for (let count = 0; count < 100 || performance.now() < end; count += 1) {
    expect(await ask(token)).toEqual(unavailable);
    expect(await isAdaIn()).toBe(true);
  }
  expect(await ask(secret(`later_${randomToken()}`))).toMatchObject({ error: 'authenticator later unavailable' });
  await limitFiles(own.pid, 1024);
  // An open circuit would keep it out for 5 s more.
  await waitFor(async () => (await ask(token)).authenticated, 'the robot to get in again');
  for (const { msg } of own.output.lines) expect(msg).not.toMatch(/circuit opened/);
  const isLater = ({ msg, authenticator }: LogLine) =>
    msg === 'authenticator could not check a token' && authenticator === 'later';
  const { reason } = await own.output.waitForLine(isLater, 'the reason');
  expect(reason).toMatch(/: not connected: this process has no file descriptor left \(EMFILE\): raise its limit/);
  expect(await gateway.metric('sallyport_plugin_redis_faults_total', 'kind="local"')).toBeGreaterThan(20);
});
