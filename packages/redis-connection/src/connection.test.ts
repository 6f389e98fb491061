import { recordingContext } from '@sallyport/authenticator/conformance';
import { errorOf } from '@sallyport/test-servers/error-of';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { content, never, newKey, open, storeKey, wording } from '../fixtures/opened.ts';
import { settled } from '../fixtures/written-options.ts';
import { openConnection } from './index.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis?.[Symbol.asyncDispose]());

test('who can wait no longer is told so in their own time, and the connection stays for the others', async () => {
  await using own = await startRedis();
  const key = await storeKey(own);
  await using started = await open({ url: own.url, commandTimeout: '30s' });
  await own.hang();
  const patient = started.read(key);
  const began = performance.now();
  const { message } = await errorOf(started.read(key, never, 20));
  expect(performance.now() - began).toBeLessThan(5_000);
  expect(message).toBe(`${own.url}: no answer in time`);
  expect(started.values.get('faults_total{kind=timeout}')).toBe(1);
  expect(started.values.get('connected')).toBe(1);
  await own.start();
  expect(await patient).toBe(content);
  expect(started.lines.map(({ level }) => level)).toEqual(['info']);
});

test('nobody waits longer than a command may take, whatever they ask for', async () => {
  await using started = await open({ url: redis.url, commandTimeout: '50ms' });
  const endless = started.connection.run(() => new Promise(() => {}), never, 1 << 30);
  expect((await errorOf(endless)).message).toBe(`${redis.url}: no answer in time`);
});

test('a value of another type is told in the words of whoever looks for it', async () => {
  await using started = await open({ url: redis.url });
  const key = newKey();
  await redis.client().hset(key, { field: 'text' });
  const error = await errorOf(started.read(key));
  expect(error).toMatchObject({ kind: 'type' });
  expect(error.message).toBe(`${redis.url}: the value is of another type ${wording.wrongType}`);
  const answer = Object.assign(new Error('NOPERM'), { name: 'ReplyError' });
  expect(started.connection.problemOf(answer, 'redis-a')).toContain(`look at its ACL, and at ${wording.leastAcl}`);
});

test('the metrics say what a rise means to whoever has the connection', async () => {
  const { context, metrics } = recordingContext({ pluginName: 'redis', baseDirectory: '/' });
  const dependencies = { ...context, tls: () => undefined, random: Math.random, wording };
  const connection = await openConnection(settled({ url: redis.url }), dependencies, never);
  await connection.close();
  const help = metrics.find(({ name }) => name.endsWith('_faults_total'))?.help;
  expect(help).toMatch(new RegExp(` A rise means that ${wording.consequence}\\.$`));
});
