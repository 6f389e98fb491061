import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type RedisOptions as ClientOptions, Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createAuthority } from './certificates.ts';
import { newPassword } from './passwords.ts';
import { accepts, hasIPv6 } from './ports.ts';
import { type RedisServer, startRedis } from './redis.ts';

const password = newPassword();
const hosts = ['127.0.0.1', 'localhost', ...(hasIPv6 ? ['::1'] : [])];

/** A key takes 100 µs to load. After each 1,024 keys, the server answers clients that it is loading. */
const slowToLoad = { 'key-load-delay': '100' };

/** Sends one command on a connection of its own. @throws the first error of the connection */
async function ask(
  options: Omit<ClientOptions, 'replyMapping'>,
  ...command: [string, ...string[]]
): Promise<unknown> {
  const client = new Redis({ ...options, lazyConnect: true, retryStrategy: null });
  const errors: Error[] = [];
  client.on('error', (error) => errors.push(error));
  try {
    await client.connect();
    return await client.call(...command);
  } catch (error) {
    throw errors[0] ?? error;
  } finally {
    client.disconnect();
  }
}

describe.each(['redis-server', 'valkey-server'] as const)('%s', (program) => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis({
      program,
      users: [`user limited on >${password} ~own:* +get +set +hello +info`],
    });
  });
  afterAll(() => redis?.[Symbol.asyncDispose]());

  test('is the program of the options, and answers at all addresses', async () => {
    expect(await redis.client().info('server')).toContain(
      program === 'redis-server' ? 'redis_version:8' : 'valkey',
    );
    for (const host of hosts) {
      expect(await ask({ host, port: redis.port }, 'PING'), host).toBe('PONG');
    }
    expect(await ask({ path: redis.socket }, 'PING')).toBe('PONG');
    expect(redis.url).toBe(`redis://127.0.0.1:${redis.port}`);
    expect(redis.tlsUrl).toBe(`rediss://127.0.0.1:${redis.tlsPort}`);
  });

  test('speaks TLS on its other port, with a certificate of its authority', async () => {
    await using foreign = await createAuthority();
    for (const host of hosts) {
      const address = { host, port: redis.tlsPort };
      expect(
        await ask({ ...address, tls: { ca: redis.authority.certificate } }, 'PING'),
        host,
      ).toBe('PONG');
      const wrong = ask({ ...address, tls: { ca: foreign.certificate } }, 'PING');
      await expect(wrong, host).rejects.toMatchObject({
        code: expect.stringMatching(/SELF_SIGNED|UNABLE_TO/),
      });
    }
  });

  test('may require a certificate of the client, on the TLS port', async () => {
    const { authority } = redis;
    await using foreign = await createAuthority();
    await using mutual = await startRedis({ program, authority, requiresClientCertificate: true });
    const { certificate: ca, issueClient } = authority;
    const tls = async ({ certificate: cert, key } = { certificate: '', key: '' }) =>
      ask({ host: '127.0.0.1', port: mutual.tlsPort, tls: { ca, cert, key } }, 'PING');
    expect(await tls(await issueClient('a client'))).toBe('PONG');
    await expect(tls(await foreign.issueClient('a foreign client'))).rejects.toThrow();
    await expect(tls()).rejects.toThrow();
    expect(await ask({ port: mutual.port }, 'PING')).toBe('PONG');
  });

  test('a user may do what its ACL says, and nothing else', async () => {
    const limited = { port: redis.port, username: 'limited', password };
    expect(await ask(limited, 'SET', 'own:key', 'value')).toBe('OK');
    expect(await redis.client().get('own:key')).toBe('value');
    await expect(ask(limited, 'GET', 'key')).rejects.toThrow('NOPERM');
    await expect(ask(limited, 'DEL', 'own:key')).rejects.toThrow('NOPERM');
    await expect(ask({ ...limited, password: 'wrong' }, 'GET', 'own:key')).rejects.toThrow(
      'WRONGPASS',
    );
  });

  test('the default user may have a password, more settings override its own, and an unknown one is reported', async () => {
    const { authority } = redis;
    const settings = { maxmemory: '10mb', appendfsync: 'everysec' };
    await using own = await startRedis({ program, authority, password: true, settings });
    expect(await own.client().ping()).toBe('PONG');
    await expect(ask({ port: own.port }, 'GET', 'key')).rejects.toThrow('NOAUTH');
    expect(await ask({ port: own.port, password: own.password ?? '' }, 'PING')).toBe('PONG');
    expect(await own.client().config('GET', 'maxmemory')).toEqual(['maxmemory', '10485760']);
    expect(await own.client().config('GET', 'appendfsync')).toEqual(['appendfsync', 'everysec']);
    await expect(startRedis({ program, authority, settings: { nonsense: '1' } })).rejects.toThrow(
      'nonsense 1',
    );
  });

  describe('lifecycle', () => {
    test.each(['stop', 'kill'] as const)(
      '%s: nothing answers, and a start brings all data back',
      async (end) => {
        await using own = await startRedis({
          program,
          authority: redis.authority,
          settings: slowToLoad,
        });
        const client = own.client();
        const writes = Array.from({ length: 3_000 }, (_, index) =>
          client.set(`key:${index}`, index),
        );
        await Promise.all(writes);
        await own[end]();
        expect(own.isRunning).toBe(false);
        await expect(ask({ port: own.port }, 'PING')).rejects.toMatchObject({
          code: 'ECONNREFUSED',
        });
        const waiting = client.get('key:2999');
        await own.start();
        expect(await waiting).toBe('2999');
        expect(own.client()).toBe(client);
        expect(await client.dbsize()).toBe(3_000);
        expect(await ask({ port: own.port }, 'GET', 'key:0')).toBe('0');
      },
    );

    test('a hanging one answers nothing until it is resumed, starts again after an end, and ends with the test', async () => {
      const own = await startRedis({ program, authority: redis.authority });
      onTestFinished(() => own[Symbol.asyncDispose]());
      const client = own.client();
      await client.set('key', 'value');
      await own.hang();
      const late = ask({ port: own.port }, 'PING');
      const first = await Promise.race([late, accepts(own.port)]);
      expect(first).toBe(true);
      await own.start();
      expect(await late).toBe('PONG');

      for (const end of [own.stop, own.kill]) {
        await own.hang();
        await end();
        expect(await accepts(own.port)).toBe(false);
        await own.start();
        expect(await client.get('key')).toBe('value');
      }

      await own.hang();
      await own[Symbol.asyncDispose]();
      expect(await accepts(own.port)).toBe(false);
      expect(existsSync(dirname(own.socket))).toBe(false);
      await expect(client.ping()).rejects.toThrow('Connection is closed');
    });
  });
});
