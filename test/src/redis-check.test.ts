import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operatorOf } from './testing/redis-commands.ts';
import { robots } from './testing/redis-gateway.ts';
import { randomToken, secret } from './testing/tokens.ts';

type Problem = readonly [string, (redis: RedisServer, hung: RedisServer) => object, RegExp];

const password = { file: 'right' };

/** The deadline is long, so that a slow answer on a busy machine is not taken for none. */
const longDeadline = { commandTimeout: '5s' };
const shortDeadline = { commandTimeout: '300ms' };

/** Each with words that show how to fix it. */
const problems: readonly Problem[] = [
  ['a wrong password', ({ url }) => ({ url, password: { file: 'wrong' } }), /refuses the username or the password/],
  ['a wrong password in a URL', () => ({ url: { file: 'wrong-url' } }), /refuses the username or the password/],
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
  [
    'a server that accepts and never answers',
    (_redis, { url }) => ({ url, password, ...shortDeadline }),
    /no answer in time/,
  ],
];

interface Finding {
  readonly check: string;
  readonly result: string;
  readonly detail: string;
}

const [right, wrong] = [secret(randomToken()), randomToken()];

let redis: RedisServer;
let hung: RedisServer;
let findings: readonly Finding[];

/** What `sallyport check` says of all problems in one run, and of a good authenticator. */
beforeAll(async () => {
  [redis, hung] = await Promise.all([startRedis({ password: right }), startRedis({ password: right })]);
  await hung.hang();
  const options = [...problems.map(([, of]) => of(redis, hung)), { url: redis.url, password }];
  const entries = options.map((one, index) => robots({ ...longDeadline, ...one }, { name: `robots-${index}` }));
  const operator = await operatorOf(entries, {
    wrong,
    right,
    'wrong-url': `redis://:${wrong}@127.0.0.1:${redis.port}`,
  });
  const { code, stdout, stderr } = await operator.run(['check', '-o', 'json']);
  expect([code, stderr]).toEqual([1, '']);
  ({ findings } = JSON.parse(stdout) as { findings: Finding[] });
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
  await hung[Symbol.asyncDispose]();
});

const findingOf = (index: number) => findings.find(({ check }) => check === `authenticator robots-${index}`);

describe('sallyport check', () => {
  test.each(problems.map(([name, , complaint], index) => ({ name, complaint, index })))(
    'finds $name, and names the server',
    ({ complaint, index }) => {
      const finding = findingOf(index);
      expect(finding).toMatchObject({ result: 'fault', detail: expect.stringMatching(complaint) });
      expect(finding?.detail).not.toMatch(/ioredis|\n/);
    },
  );

  test('finds nothing wrong in options that work', () => {
    expect(findingOf(problems.length)?.result).toBe('ok');
  });
});

test('token list reports a server that accepts and never answers', async () => {
  const operator = await operatorOf([robots({ url: hung.url, ...shortDeadline })]);
  const listed = await operator.run(['token', 'list']);
  expect(listed).toMatchObject({ code: 1, stdout: '' });
  expect(listed.stderr).toMatch(/^sallyport: .*no answer in time$/m);
});
