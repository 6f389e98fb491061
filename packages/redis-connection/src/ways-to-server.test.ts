import { errorOf } from '@sallyport/test-servers/error-of';
import { listenForNoise } from '@sallyport/test-servers/noise';
import { newPassword } from '@sallyport/test-servers/passwords';
import { hasIPv6 } from '@sallyport/test-servers/ports';
import type { RedisServer } from '@sallyport/test-servers/redis';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { content, never, newKey, open, outcomeOf, storeKey } from './testing/opened.ts';

const redis = await redisForFile();
const key = await storeKey(redis);

const hosts = ['127.0.0.1', 'localhost', 'LOCALHOST', ...(hasIPv6 ? ['[::1]'] : [])];

describe('a Redis', () => {
  test.each([
    ...hosts.map((host) => [`redis://${host}:`, () => redis.port] as const),
    ...hosts.map((host) => [`rediss://${host}:`, () => redis.tlsPort] as const),
    ['unix:', () => redis.socket] as const,
    ['unix://', () => redis.socket] as const,
    ['UNIX:', () => redis.socket] as const,
  ])('is reached by %s', async (start, end) => {
    const noise = listenForNoise();
    const ca = start.startsWith('rediss') ? { caFile: redis.caFile } : {};
    await using started = await open({ url: start + end(), ...ca });
    expect(await started.read(key)).toBe(content);
    expect(started.values.get('connected')).toBe(1);
    expect(started.lines.filter(({ level }) => level !== 'info')).toEqual([]);
    expect(noise).toEqual([]);
  });

  test.each([
    {
      url: 'redis://127.0.0.1:1',
      problem: 'not connected: the connection was refused: is it running, and is this its port?',
    },
    { url: 'unix:/nowhere/redis.sock', problem: 'not connected: the socket does not exist' },
    {
      url: 'redis://nowhere.invalid',
      problem: /^not connected: (DNS does not know the name|DNS does not answer)$/,
    },
  ])('that does not exist is reported: $url', async ({ url, problem }) => {
    const noise = listenForNoise();
    await using started = await open({ url, insecure: url.includes('invalid') || undefined });
    const error = await errorOf(started.read(key));
    expect(error).toMatchObject({ name: 'RedisProblem' });
    const [, said] = error.message.split(/^\S+: /);
    if (typeof problem === 'string') expect(said).toBe(problem);
    else expect(said).toMatch(problem);
    expect(noise).toEqual([]);
  });
});

describe('a database', () => {
  test.each<{ name: string; written: (redis: RedisServer) => object }>([
    { name: 'of the URL', written: ({ url }) => ({ url: `${url}/3` }) },
    { name: 'of its own key', written: ({ url }) => ({ url, database: 3 }) },
    { name: 'of a socket', written: ({ socket }) => ({ url: `unix:${socket}?db=3` }) },
    { name: 'next to a socket', written: ({ socket }) => ({ url: `unix:${socket}`, database: 3 }) },
  ])('$name is the one that is read', async ({ written }) => {
    const own = newKey();
    // All tests share the client of the server, so this copies the value instead of switching the client's database.
    await redis.client().copy(key, own, 'DB', 3);
    await using started = await open({ ...written(redis) });
    expect(await started.read(own)).toBe(content);
    expect(await started.read(key)).toBeNull();
  });

  test('that Redis does not have is not replaced by database 0', async () => {
    const noise = listenForNoise();
    await using started = await open({ url: redis.url, database: 9_999 });
    const problem =
      'not connected: it has no database with this number: write a lower one in url or database, or raise databases in redis.conf';
    for (let count = 0; count < 5; count += 1) {
      const error = await errorOf(started.read(key));
      expect(error).toMatchObject({ name: 'RedisProblem', message: `${redis.url}: ${problem}` });
    }
    expect(started.values.get('connected')).toBe(0);
    expect(started.lines.map(({ level }) => level)).toEqual(['warn']);
    const pauses: number[] = [];
    const client = await started.connection.run(async (one) => one, never);
    client.on('reconnecting', (pause: number) => pauses.push(pause));
    await waitFor(() => pauses.length >= 3, 'more attempts');
    expect(pauses).toEqual(pauses.toSorted((one, other) => one - other));
    expect(new Set(pauses).size).toBe(pauses.length);
    expect(noise).toEqual([]);
  });

  test('that the user may not select is not replaced by another one, and is read once they may', async () => {
    const password = newPassword();
    const own = newKey();
    await redis.client().copy(key, own, 'DB', 3);
    const grant = (...rights: string[]) =>
      redis
        .client()
        .call(
          'ACL',
          'SETUSER',
          'there',
          'reset',
          'on',
          `>${password}`,
          '~*',
          '+getrange',
          '+pttl',
          '+echo',
          ...rights,
        );
    await grant();
    await using started = await open({ url: redis.url, database: 3, username: 'there', password });
    for (const one of [key, own]) {
      const { message } = await errorOf(started.read(one));
      expect(message).toContain('not connected: the user is not allowed to do this (SELECT): ');
    }
    await grant('+select');
    await waitFor(async () => (await outcomeOf(started.read(own))) === content, 'a value');
    expect(await started.read(key)).toBeNull();
  });
});
