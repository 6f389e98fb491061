import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { describe, expect, test } from 'vitest';
import { operatorOf } from './testing/redis-commands.ts';
import { robots } from './testing/redis-gateway.ts';
import { randomToken } from './testing/tokens.ts';

type Problem = readonly [string, (redis: RedisServer) => object, RegExp];

const password = { file: 'right' };

/** The deadline is long, so that a slow answer on a busy machine is not taken for none. */
const longDeadline = { commandTimeout: '5s' };
const shortDeadline = { commandTimeout: '300ms' };

/** Each with words that show how to fix it. */
const problems: readonly Problem[] = [
  ['a wrong password', ({ url }) => ({ url, password: { file: 'wrong' } }), /refuses the username or the password/],
  ['a missing password', ({ url }) => ({ url }), /requires a password/],
  [
    'a user that is not there',
    ({ url }) => ({ url, username: 'gate', password }),
    /refuses the username or the password/,
  ],
  ['a refused connection', () => ({ url: 'redis://127.0.0.1:1' }), /redis:\/\/127\.0\.0\.1:1: .*was refused/],
  [
    'TLS on a port without',
    ({ port }) => ({ url: `rediss://127.0.0.1:${port}`, ...shortDeadline }),
    /no answer in time/,
  ],
  ['a certificate of a foreign authority', ({ tlsUrl }) => ({ url: tlsUrl, password }), /caFile/],
  ['a socket that is not there', () => ({ url: 'unix:/nowhere/redis.sock' }), /the socket does not exist/],
  ['a cluster that is none', ({ port }) => ({ cluster: [`127.0.0.1:${port}`], password }), /cluster/],
  ['sentinels that are none', ({ port }) => ({ sentinels: [`127.0.0.1:${port}`], name: 'mymaster' }), /sentinel/],
];

interface Findings {
  readonly findings: readonly { readonly check: string; readonly result: string; readonly detail: string }[];
}

async function check(redis: RedisServer, options: object) {
  const files = { wrong: randomToken(), right: redis.password ?? '' };
  const operator = await operatorOf([robots({ ...longDeadline, ...options })], files);
  const { code, stdout, stderr } = await operator.run(['check', '-o', 'json']);
  const { findings } = JSON.parse(stdout) as Findings;
  return { code, stderr, finding: findings.find((one) => one.check === 'authenticator robots') };
}

describe.concurrent('sallyport check', () => {
  test.each(problems)('finds %s, and names the server', async (_name, options, complaint) => {
    await using redis = await startRedis({ password: randomToken() });
    const { code, stderr, finding } = await check(redis, options(redis));
    expect([code, stderr]).toEqual([1, '']);
    expect(finding).toMatchObject({ result: 'fault', detail: expect.stringMatching(complaint) });
    expect(finding?.detail).not.toMatch(/ioredis|\n/);
  });

  test('finds a server that accepts and never answers, and so does token list', async () => {
    await using redis = await startRedis({ password: randomToken() });
    await redis.hang();
    const { code, finding } = await check(redis, { url: redis.url, password, ...shortDeadline });
    expect([code, finding]).toEqual([
      1,
      expect.objectContaining({ detail: expect.stringMatching(/no answer in time/) }),
    ]);
    const operator = await operatorOf([robots({ url: redis.url, ...shortDeadline })]);
    const listed = await operator.run(['token', 'list']);
    expect(listed).toMatchObject({ code: 1, stdout: '' });
    expect(listed.stderr).toMatch(/^sallyport: .*no answer in time$/m);
  });

  test('finds nothing wrong in a config that works', async () => {
    await using redis = await startRedis({ password: randomToken() });
    const { code, finding } = await check(redis, { url: redis.url, password });
    expect([code, finding?.result]).toEqual([0, 'ok']);
  });
});
