import { type CountingProxy, startCountingProxy } from '@sallyport/test-servers/counting-proxy';
import { commandCalls, forgetCalls } from '@sallyport/test-servers/redis-command-calls';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { describe, expect, test } from 'vitest';
import { hashUpTo, readValue, stringUpTo } from './read-value.ts';
import { never, newKey, open } from './testing/opened.ts';

const lookups = 50;

const redis = await redisForFile();

type Read = (key: string) => Promise<unknown>;

const scripted = ['hgetall', 'hkeys', 'hlen', 'hstrlen'];

describe.each([
  { type: 'string', query: stringUpTo(1024), command: 'getrange', inScripts: [] },
  { type: 'hash', query: hashUpTo(1024), command: 'eval_ro', inScripts: scripted },
])('values of the type $type', ({ type, query, command, inScripts }) => {
  async function counted(
    ask: (read: Read, keys: readonly string[]) => Promise<readonly unknown[]>,
  ): Promise<CountingProxy['requests']> {
    const keys = Array.from({ length: lookups }, newKey);
    for (const key of keys) {
      if (type === 'string') await redis.client().set(key, key);
      else await redis.client().hset(key, { key });
    }
    await using proxy = await startCountingProxy(redis.port);
    await using started = await open({
      url: `redis://127.0.0.1:${proxy.port}`,
      commandTimeout: '30s',
    });
    const before = proxy.requests;
    await forgetCalls(redis);
    const read: Read = (key) =>
      started.connection.run((client) => readValue(client, query, key), never);
    const replies = keys.map((key) => (type === 'string' ? key : ['key', key]));
    expect(await ask(read, keys)).toEqual(replies.map((reply) => ({ reply, timeToLive: -1 })));
    const calls = await commandCalls(redis);
    expect(calls.names).toEqual([command, 'echo', 'pttl', ...inScripts].sort());
    expect([calls.of(command), calls.of('pttl'), calls.of('echo')]).toEqual([
      lookups,
      lookups,
      lookups,
    ]);
    expect(proxy.connections).toBe(1);
    return proxy.requests - before;
  }

  test('that are read in one turn are sent in one write', async () => {
    expect(await counted((read, keys) => Promise.all(keys.map(read)))).toBe(1);
  });

  test('that are read one after the other take one round trip each', async () => {
    const requests = await counted(async (read, keys) => {
      const replies: unknown[] = [];
      for (const key of keys) replies.push(await read(key));
      return replies;
    });
    expect(requests).toBe(lookups);
  });

  test('that are read while others are pending are sent together after their answers', async () => {
    const requests = await counted(async (read, keys) => {
      await redis.hang();
      const replies: Promise<unknown>[] = [];
      for (const key of keys) {
        replies.push(read(key));
        await new Promise(setImmediate);
      }
      await redis.start();
      return await Promise.all(replies);
    });
    expect(requests).toBe(2);
  });
});

test('a connection takes one round trip, with its login, its database and nothing else', async () => {
  await redis
    .client()
    .call(
      'ACL',
      'SETUSER',
      'least',
      'on',
      'nopass',
      '~*',
      '-@all',
      '+getrange',
      '+pttl',
      '+echo',
      '+select',
    );
  await redis.client().call('ACL', 'LOG', 'RESET');
  await using proxy = await startCountingProxy(redis.port);
  await forgetCalls(redis);
  const login = { username: 'least', password: 'any', database: 1 };
  await using started = await open({ url: `redis://127.0.0.1:${proxy.port}`, ...login });
  expect(proxy.requests).toBe(1);
  expect(await started.read(newKey())).toBeNull();
  expect(proxy.requests).toBe(2);
  expect((await commandCalls(redis)).names.filter((name) => !name.startsWith('acl|'))).toEqual([
    'echo',
    'getrange',
    'hello',
    'pttl',
    'select',
  ]);
  expect(await redis.client().call('ACL', 'LOG')).toEqual([]);
});
