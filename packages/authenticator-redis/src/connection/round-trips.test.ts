import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandCalls, forgetCalls } from '../../fixtures/command-calls.ts';
import { type CountingProxy, startCountingProxy } from '../../fixtures/counting-proxy.ts';
import { type StartedAuthenticator, startAuthenticator } from '../../fixtures/plugin.ts';
import { storeToken } from '../../fixtures/records.ts';
import { type LayoutName, layouts } from '../record/layouts.ts';

const lookups = 50;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis?.[Symbol.asyncDispose]());

describe.each(Object.keys(layouts) as LayoutName[])('lookups of records as %s', (layout) => {
  async function counted(
    ask: (started: StartedAuthenticator, tokens: readonly string[]) => Promise<readonly unknown[]>,
  ): Promise<CountingProxy['questions']> {
    const users = Array.from({ length: lookups }, (_, index) => ({ username: `ci-${index}` }));
    const tokens = await Promise.all(users.map((user) => storeToken(redis.client(), layout, user)));
    await using proxy = await startCountingProxy(redis.port);
    await using started = await startAuthenticator({
      url: `redis://127.0.0.1:${proxy.port}`,
      layout,
      commandTimeout: '30s',
    });
    const before = proxy.questions;
    await forgetCalls(redis);
    expect(await ask(started, tokens)).toEqual(users.map((user) => ({ kind: 'authenticated', user })));
    const calls = await commandCalls(redis);
    expect(calls.names).toEqual([layouts[layout].command, 'pttl']);
    expect([calls.of(layouts[layout].command), calls.of('pttl')]).toEqual([lookups, lookups]);
    expect(proxy.connections).toBe(1);
    return proxy.questions - before;
  }

  test('that are asked in one turn go out in one write', async () => {
    expect(await counted(({ ask }, tokens) => Promise.all(tokens.map((token) => ask(token))))).toBe(1);
  });

  test('that are asked one after the other are one round trip each', async () => {
    const questions = await counted(async ({ ask }, tokens) => {
      const decisions: unknown[] = [];
      for (const token of tokens) decisions.push(await ask(token));
      return decisions;
    });
    expect(questions).toBe(lookups);
  });

  test('that are asked while others are under way go out together once those are answered', async () => {
    const questions = await counted(async ({ ask }, tokens) => {
      await redis.hang();
      const decisions: Promise<unknown>[] = [];
      for (const token of tokens) {
        decisions.push(ask(token));
        await new Promise(setImmediate);
      }
      await redis.start();
      return await Promise.all(decisions);
    });
    expect(questions).toBe(2);
  });
});

test('a connection is made in one round trip: with its login, its database and nothing else', async () => {
  await redis.client().call('ACL', 'SETUSER', 'least', 'on', 'nopass', '~*', '-@all', '+get', '+pttl', '+select');
  await redis.client().call('ACL', 'LOG', 'RESET');
  await using proxy = await startCountingProxy(redis.port);
  await forgetCalls(redis);
  const login = { username: 'least', password: 'any', database: 1 };
  await using started = await startAuthenticator({ url: `redis://127.0.0.1:${proxy.port}`, ...login });
  expect(proxy.questions).toBe(1);
  await started.check();
  expect(proxy.questions).toBe(2);
  expect((await commandCalls(redis)).names.filter((name) => !name.startsWith('acl|'))).toEqual([
    'get',
    'hello',
    'pttl',
    'select',
  ]);
  expect(await redis.client().call('ACL', 'LOG')).toEqual([]);
});
