import { randomBytes } from 'node:crypto';
import { startOpenLuaProxy } from '@sallyport/test-servers/open-lua-proxy';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { redisUsers } from '@sallyport/test-servers/redis-users';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { GatewayConfig, SecondFactorConfig } from '../../config/types.ts';
import { createInvitation } from '../../login/factors/enrolment.ts';
import { createFactorStore } from '../../login/factors/factor-store.ts';
import { createTestContext } from '../../testing/command-context.ts';
import { withFactorRedis } from '../connections.ts';
import { runCheck, wholeDetail } from '../finding.ts';
import { checkFactorRedis } from './check-factor-redis.ts';

const [minimal] = redisUsers['Second factors'];
const keys = [randomBytes(32), randomBytes(32)] as const;

function configOf(
  { port }: Pick<RedisServer, 'port'>,
  username?: string,
  sealingKeys: readonly Uint8Array[] = [keys[0]],
  required: SecondFactorConfig['required'] = 'all',
) {
  const connection = {
    servers: {
      kind: 'server',
      secure: false,
      database: 0,
      address: { host: '127.0.0.1', port },
    },
    tls: { minVersion: 'TLSv1.2' },
    commandTimeout: 2_000,
    ...(username !== undefined && { username, password: 'secret' }),
  } as const;
  const secondFactor = {
    required,
    methods: ['totp'],
    redis: { connection, keyPrefix: 'sallyport:' },
  };
  return {
    baseDirectory: '/',
    cache: { redis: { sealingKeys } },
    login: { secondFactor },
  } as unknown as GatewayConfig & {
    readonly login: { readonly secondFactor: SecondFactorConfig };
  };
}

async function check(...words: Parameters<typeof configOf>) {
  const findings = await runCheck('second-factor Redis', () =>
    checkFactorRedis(createTestContext(), configOf(...words)),
  );
  return findings.map((finding) => [finding.result, wholeDetail(finding)]);
}

/** Adds the record of a user, sealed with these keys. */
function addRecord(server: RedisServer, username: string, sealingKeys?: readonly Uint8Array[]) {
  const config = configOf(server, undefined, sealingKeys);
  const user = { authenticator: 'corp', username, name: `corp:${username}` };
  const invitation = { by: 'ada', reason: undefined, until: Date.now() + 600_000 };
  return withFactorRedis(createTestContext(), config, config.login.secondFactor, (redis) =>
    createInvitation(createFactorStore(redis, Date.now), user, invitation, Date.now()),
  );
}

describe('check of the Redis of second factors', () => {
  let server: RedisServer;
  const denied = ['set', 'del', 'eval', 'getrange', 'scan', 'info'] as const;
  beforeAll(async () => {
    const line = minimal.replace('>PASSWORD', '>secret');
    const lacking = denied.map((one) =>
      line.replace('user factors', `user no-${one}`).replace(` +${one}`, ''),
    );
    const narrow = line
      .replace('user factors', 'user narrow')
      .replace('~sallyport:factor:*', '~sallyport:cache:*');
    server = await startRedis({ users: [line, narrow, ...lacking] });
  });
  afterAll(async () => {
    // The process that writes a new AOF outlives a killed server, and its file the folder.
    const isWritten = async () =>
      (await server.client().info('persistence')).includes('aof_rewrite_in_progress:0');
    await waitFor(isWritten, 'the AOF to be written');
    await server[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await server.client().flushall();
    await server.client().config('SET', 'maxmemory-policy', 'noeviction');
    await server.client().config('SET', 'appendonly', 'yes');
  });

  test('is ok with the rights of docs/redis.md, counts the records, and leaves nothing behind', async () => {
    expect(await check(server, 'factors')).toEqual([['ok', 'reached and writable; records: 0']]);
    expect(await server.client().keys('*')).toEqual([]);
    await addRecord(server, 'jane');
    expect(await check(server, 'factors')).toEqual([['ok', 'reached and writable; records: 1']]);
  });

  test('warns of a server whose Lua has known holes', async () => {
    await using proxy = await startOpenLuaProxy(server.port);
    expect(await check(proxy, 'factors')).toEqual([
      ['warning', expect.stringMatching(/CVE-2025-49844.*: update it to Redis 6\.2\.20, /)],
    ]);
  });

  test.each(denied)('without the right to %s is no success', async (command) => {
    const expected =
      command === 'info'
        ? ['warning', expect.stringMatching(/^INFO failed, so it is unknown whether it persists/)]
        : ['error', expect.stringContaining(`not allowed to do this (${command.toUpperCase()})`)];
    expect(await check(server, `no-${command}`)).toEqual([expected]);
  });

  test('without the right to its keys is an error that names them', async () => {
    const what = 'not allowed to do this (EVAL on keys sallyport:factor:*)';
    expect(await check(server, 'narrow')).toEqual([['error', expect.stringContaining(what)]]);
  });

  test('is an error while records can not be opened, and not for one that an older key sealed', async () => {
    await addRecord(server, 'jane', [keys[1]]);
    await addRecord(server, 'max', [keys[1]]);
    expect(await check(server)).toEqual([
      [
        'error',
        expect.stringMatching(
          /^2 records of second factors \(such as sallyport:factor:\w{64}\) can't be opened .*: their users are refused: if a gateway/,
        ),
      ],
    ]);
    expect(await check(server, undefined, keys)).toEqual([
      ['ok', 'reached and writable; records: 2'],
    ]);
  });

  test('is an error if it evicts, and a warning if it does not persist', async () => {
    await server.client().config('SET', 'maxmemory-policy', 'allkeys-lru');
    await server.client().config('SET', 'appendonly', 'no');
    expect(await check(server)).toEqual([
      [
        'error',
        'maxmemory-policy allkeys-lru can drop second factors when the memory of Redis is full: everyone who must have one is refused then: set maxmemory-policy noeviction',
      ],
      ['warning', expect.stringContaining(': set appendonly yes (docs/redis.md)')],
    ]);
    const [[, optional] = []] = await check(server, undefined, [keys[0]], 'none');
    expect(optional).toContain('people who had one log in with the password alone then');
  });

  test('is an error while it is down, and left out without second factors', async () => {
    const gone = await startRedis();
    await gone[Symbol.asyncDispose]();
    expect(await check(gone)).toEqual([['error', expect.stringMatching(/refused/)]]);
    expect(
      await checkFactorRedis(createTestContext(), { ...configOf(gone), login: undefined as never }),
    ).toEqual([]);
  });
});
