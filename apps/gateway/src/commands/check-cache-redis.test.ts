import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { describe, expect, test } from 'vitest';
import { publishAndConfirm } from '../revocation/confirmation.ts';
import { openRedis } from '../revocation/testing/replicas.ts';
import { checkCacheRedis, judgeClock } from './check-cache-redis.ts';

const lifetimes = { authenticatedTtl: 1, rejectedTtl: 1, unknownTtl: 1, staleTtl: 0 };

function check({ port }: Pick<RedisServer, 'port'>, username?: string) {
  const servers = { kind: 'server', secure: false, database: 0, address: { host: '127.0.0.1', port } } as const;
  const login = username === undefined ? {} : { username, password: 'secret' };
  const connection = { servers, tls: { minVersion: 'TLSv1.2' }, commandTimeout: 2_000, ...login } as const;
  const sealingKeys = [Buffer.alloc(32, 'A')];
  const redis = { connection, timeout: 1_000, keyPrefix: 'sallyport:', sealingKeys };
  return checkCacheRedis({ cache: { ...lifetimes, memory: { maxEntries: 1 }, redis }, baseDirectory: '/' });
}

const finding = (result: string, detail: unknown) => [{ check: 'cache Redis', result, detail }];

describe('check of the cache Redis', () => {
  test('is ok where the gateway may do all that it does, and leaves nothing behind', async () => {
    // Word for word as docs/operations.md gives them.
    const least = '+getrange +pttl +echo +set +del +hset +hdel +hlen +hgetall +pexpire +time +eval +info';
    const users = [`user gateway on >secret resetkeys ~sallyport:* -@all ${least}`];
    await using server = await startRedis({ users });
    expect(await check(server, 'gateway')).toEqual(finding('ok', 'reached, and may be written to; no one is blocked'));
    expect(await server.client().keys('*')).toEqual([]);
  });

  test('is left out where the config has no cache.redis', async () => {
    const cache = { ...lifetimes, memory: { maxEntries: 1 } };
    expect(await checkCacheRedis({ cache, baseDirectory: '/' })).toEqual([]);
  });

  test.each([
    ['SET', '-set', /may not do this/],
    ['DEL', '-del', /may not do this/],
    ['HSET in the script', '-hset', /the poll of the revocation list can't write/],
    ['HLEN in the script', '-hlen', /may not/],
    ['HGETALL', '-hgetall', /may not/],
  ])('is a fault without the right to %s', async (_name, denied, message) => {
    await using server = await startRedis({ users: [`user gateway on >secret ~sallyport:* +@all ${denied}`] });
    expect(await check(server, 'gateway')).toEqual(finding('fault', expect.stringMatching(message)));
  });

  test('is a warning without the right to INFO', async () => {
    await using server = await startRedis({ users: ['user gateway on >secret ~sallyport:* +@all -info'] });
    expect(await check(server, 'gateway')).toEqual(finding('warning', expect.stringMatching(/^INFO failed/)));
  });

  test.each(['allkeys-lru', 'volatile-ttl'])('is a fault with the policy %s', async (policy) => {
    await using server = await startRedis({ settings: { 'maxmemory-policy': policy } });
    const detail = new RegExp(`^maxmemory-policy ${policy} may drop .*: set maxmemory-policy noeviction$`);
    expect(await check(server)).toEqual(finding('fault', expect.stringMatching(detail)));
  });

  test('is a fault while entries cannot be opened', async () => {
    await using server = await startRedis();
    await using other = await openRedis(server.port, 'B');
    const options = { wait: 0, signal: new AbortController().signal };
    const entry = { action: 'block', kind: 'user', name: 'jane', by: 'ada' } as const;
    await publishAndConfirm(other.redis, ({ now }) => ({ ...entry, until: now + 60_000 }), options);
    expect(await check(server)).toEqual(
      finding('fault', expect.stringMatching(/^1 entry of the list can't be opened/)),
    );
  });

  test('is a fault while it is down', async () => {
    const server = await startRedis();
    await server[Symbol.asyncDispose]();
    expect(await check(server)).toEqual(finding('fault', expect.stringMatching(/redis:\/\/127\.0\.0\.1.*refused/)));
  });
});

test('clocks may differ by 30 s', () => {
  const now = 1_000_000;
  expect([judgeClock(now + 30_000, now), judgeClock(now - 30_000, now)]).toEqual([[], []]);
  expect(judgeClock(now + 31_000, now)).toEqual(
    finding('warning', expect.stringMatching(/^its clock is 31 s ahead of/)),
  );
  expect(judgeClock(now - 45_000, now)).toEqual(finding('warning', expect.stringMatching(/^its clock is 45 s behind/)));
});
