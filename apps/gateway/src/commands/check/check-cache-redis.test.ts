import { startOpenLuaProxy } from '@sallyport/test-servers/open-lua-proxy';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { redisUsers } from '@sallyport/test-servers/redis-users';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LoginConfig } from '../../config/types.ts';
import { publishAndConfirm } from '../../engine/revocation/confirmation.ts';
import { revocationKeys } from '../../engine/revocation/scripts.ts';
import { openRedis, startReplica } from '../../engine/revocation/testing/replicas.ts';
import { createTestContext } from '../../testing/command-context.ts';
import { type Finding, runCheck, wholeDetail } from '../finding.ts';
import { checkCacheRedis, checkClock } from './check-cache-redis.ts';

const lifetimes = { authenticatedTtl: 1, rejectedTtl: 1, unknownTtl: 1, staleTtl: 0 };

async function check(
  { port }: Pick<RedisServer, 'port'>,
  username?: string,
  login?: Parameters<typeof checkCacheRedis>[1]['login'],
) {
  const servers = {
    kind: 'server',
    secure: false,
    database: 0,
    address: { host: '127.0.0.1', port },
  } as const;
  const account = username === undefined ? {} : { username, password: 'secret' };
  const connection = {
    servers,
    tls: { minVersion: 'TLSv1.2' },
    commandTimeout: 2_000,
    ...account,
  } as const;
  const sealingKeys = [Buffer.alloc(32, 'A')];
  const redis = {
    connection,
    timeout: 1_000,
    keyPrefix: 'sallyport:',
    sealingKeys,
    startWithoutBlocks: false,
  };
  const config = {
    cache: { ...lifetimes, memory: { maxEntries: 1 }, redis },
    baseDirectory: '/',
    ...(login && { login }),
  };
  const findings = await runCheck('cache Redis', () =>
    checkCacheRedis(createTestContext(), config),
  );
  return findings.map(inJson);
}

/** A finding with its fix in the detail. */
const inJson = ({ fix, ...one }: Finding) => ({ ...one, detail: wholeDetail({ ...one, fix }) });
const finding = (result: string, detail: unknown, name?: string) => [
  { check: 'cache Redis', result, detail, ...(name && { name }) },
];

const [minimal] = redisUsers['The cache'];

/** The result for a user who may do all but this. */
const denied: readonly { command: string; result: string; message: RegExp }[] = [
  { command: 'set', result: 'error', message: /is not allowed to do this \(SET\): / },
  { command: 'del', result: 'error', message: /is not allowed to do this \(DEL\): / },
  // `unlock` and the lockout guard need it.
  { command: 'pexpire', result: 'error', message: /is not allowed to do this \(PEXPIRE\): / },
  { command: 'hset', result: 'error', message: /is not allowed to do this \(HSET\): / },
  { command: 'hdel', result: 'error', message: /is not allowed to do this \(HDEL\): / },
  { command: 'hlen', result: 'error', message: /is not allowed to do this \(HLEN\): / },
  { command: 'hgetall', result: 'error', message: /is not allowed to do this \(HGETALL\): / },
  { command: 'info', result: 'warning', message: /^INFO failed/ },
];

/** What a user may not do whose patterns of keys are those of the minimal rights, but for one that is replaced. */
const withoutKeys: readonly { call: string; pattern: string; instead: string }[] = [
  { call: 'SET on keys sallyport:cache:*', pattern: ' ~sallyport:cache*', instead: '' },
  { call: 'EVAL on keys sallyport:cache-user:*', pattern: 'cache*', instead: 'cache:*' },
  { call: 'EVAL on keys sallyport:lockout:*', pattern: ' ~sallyport:lockout:*', instead: '' },
  {
    call: 'EVAL on keys sallyport:{revocations}:*',
    pattern: ' ~sallyport:{revocations}:*',
    instead: '',
  },
];

const { revision } = revocationKeys('sallyport:');

describe('check of the cache Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    const lacking = denied.map(
      ({ command }) => `user no-${command} on >secret ~sallyport:* +@all -${command}`,
    );
    const line = minimal.replace('>PASSWORD', '>secret');
    const others = withoutKeys.map(({ pattern, instead }, index) => {
      return line.replace('sallyport-cache', `lacks-${index}`).replace(pattern, instead);
    });
    const narrow = line
      .replace('sallyport-cache', 'narrow')
      .replace('cache*', 'cache:* ~sallyport:cache-user:*');
    server = await startRedis({ users: [line, narrow, ...others, ...lacking] });
  });
  afterAll(() => server[Symbol.asyncDispose]());
  beforeEach(async () => {
    await server.client().flushall();
    await server.client().set(revision, 'begun');
    await server.client().config('SET', 'maxmemory-policy', 'noeviction');
  });

  test.each(['', '?begun'])('is a warning while its list has the revision "%s"', async (text) => {
    await server.client().set(revision, text);
    const message = /^it has no revocation list, .* let no one in .*, start a gateway, and run: /;
    expect(await check(server)).toEqual(
      finding('warning', expect.stringMatching(message), 'revocation-list'),
    );
  });

  test('is ok where the gateway may do all that it does, and leaves nothing behind', async () => {
    expect(await check(server, 'sallyport-cache')).toEqual(
      finding('ok', 'reached and writable; no one is blocked'),
    );
    expect(await server.client().keys('*')).toEqual([revision]);
  });

  test.each(withoutKeys)('without the right to $call is an error', async ({ call }) => {
    const index = withoutKeys.findIndex((lacking) => lacking.call === call);
    expect(await check(server, `lacks-${index}`)).toEqual(
      finding(
        'error',
        expect.stringContaining(
          `the user is not allowed to do this (${call}): compare its ACL with`,
        ),
      ),
    );
  });

  test('tries logins in a browser where the config has them, and leaves nothing behind', async () => {
    const browser = { browser: true } as LoginConfig;
    expect(await check(server, 'sallyport-cache', browser)).toEqual(
      finding('ok', 'reached and writable; no one is blocked'),
    );
    expect(await server.client().keys('*')).toEqual([revision]);
    const narrow = await check(server, 'narrow');
    expect(narrow).toEqual(finding('ok', expect.any(String)));
    const what = 'EVAL on keys sallyport:cache-login:*';
    expect(await check(server, 'narrow', browser)).toEqual(
      finding('error', expect.stringContaining(what)),
    );
  });

  test('warns of a server whose Lua has known holes', async () => {
    await using proxy = await startOpenLuaProxy(server.port);
    expect(await check(proxy)).toEqual(
      finding(
        'warning',
        expect.stringMatching(/CVE-2025-49844.*: update it to Redis 6\.2\.20, /),
        'lua',
      ),
    );
  });

  test('is left out where the config has no cache.redis', async () => {
    const cache = { ...lifetimes, memory: { maxEntries: 1 } };
    expect(await checkCacheRedis(createTestContext(), { cache, baseDirectory: '/' })).toEqual([]);
  });

  test.each(denied)(
    'without the right to $command has the result $result',
    async ({ command, result, message }) => {
      expect(await check(server, `no-${command}`)).toEqual(
        finding(
          result,
          expect.stringMatching(message),
          result === 'warning' ? 'redis-info' : undefined,
        ),
      );
    },
  );

  test.each(['allkeys-lru', 'volatile-ttl'])('is an error with the policy %s', async (policy) => {
    await server.client().config('SET', 'maxmemory-policy', policy);
    const detail = new RegExp(
      `^maxmemory-policy ${policy} can drop .*: set maxmemory-policy noeviction$`,
    );
    expect(await check(server)).toEqual(finding('error', expect.stringMatching(detail)));
  });

  test('is an error while entries cannot be opened', async () => {
    await using other = await openRedis(server.port, 'B');
    const options = { wait: 0, signal: new AbortController().signal };
    const entry = { action: 'block', kind: 'user', name: 'jane', by: 'ada' } as const;
    await publishAndConfirm(other.redis, ({ now }) => ({ ...entry, until: now + 60_000 }), options);
    expect(await check(server)).toEqual(
      finding('error', expect.stringMatching(/^1 entry of the revocation list can't be opened/)),
    );
  });

  test('is an error while a gateway has other sealing keys, and names it', async () => {
    await using _same = await startReplica('same', server.port, 'AB');
    await using _other = await startReplica('other', server.port, 'BA');
    const detail = expect.stringMatching(
      /^gateway other has other cache\.redis\.sealingKeys than this config, .*: give/,
    );
    expect(await check(server)).toEqual(finding('error', detail));
  });

  test('is an error while it is down', async () => {
    const gone = await startRedis();
    await gone[Symbol.asyncDispose]();
    expect(await check(gone)).toEqual(
      finding('error', expect.stringMatching(/redis:\/\/127\.0\.0\.1.*refused/)),
    );
  });
});

test('clocks may differ by 30 s', () => {
  const now = 1_000_000;
  expect([checkClock(now + 30_000, now), checkClock(now - 30_000, now)]).toEqual([[], []]);
  const warning = (pattern: RegExp) => [
    { result: 'warning', name: 'clock', detail: expect.stringMatching(pattern) },
  ];
  expect(checkClock(now + 31_000, now).map(inJson)).toEqual(warning(/^its clock is 31s ahead of/));
  expect(checkClock(now - 45_000, now).map(inJson)).toEqual(warning(/^its clock is 45s behind/));
});
