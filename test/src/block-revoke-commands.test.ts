import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCommand } from './testing/command.ts';
import { issue, recordKey } from './testing/redis-tokens.ts';
import { cachedRobots, type Published, replicasConfig, startReplicas } from './testing/replicas.ts';
import { staticAuthenticator, tokensFile } from './testing/static-tokens.ts';
import { randomToken, sha256 } from './testing/tokens.ts';

const redis = await redisForFile();
afterEach(async () => {
  await redis.client().flushall();
});

const newToken = (username: string) => issue(() => redis, { username });
const stored = async (token: string) =>
  JSON.parse(String(await redis.client().get(recordKey(token))));
const operatorWith = async (...config: Parameters<typeof replicasConfig>) =>
  (await startReplicas(0, replicasConfig(...config))).operator;

test('-o json has the entry, who has confirmed, and the tokens', async () => {
  await using replicas = await startReplicas(
    1,
    replicasConfig([cachedRobots(redis.url)], redis.url),
  );
  const { operator } = replicas;
  const token = await newToken('ci');
  const done = { confirmed: [expect.any(String)], unconfirmed: [], gone: [], unreadable: 0 };
  const times = { at: expect.stringMatching(/Z$/), until: expect.stringMatching(/Z$/) };
  const entry = { ...times, kind: 'user', name: 'robot:ci', by: 'eve' };
  const words = ['--user', 'robot:ci', '--by', 'eve'];
  const revoked = (await operator.json('revoke', ...words, '--reason', 'lost')) as {
    replicas: Published;
  };
  expect(revoked).toEqual({
    ...{
      revoked: [expect.objectContaining({ authenticator: 'robots', state: 'revoked' })],
      already: [],
    },
    ...{ unreadable: [], problems: [] },
    replicas: { ...done, entry: { ...entry, action: 'revoke', reason: 'lost' } },
  });
  // The token is revoked first. Otherwise a gateway could ask in between, and cache the answer.
  const { revokedAt } = await stored(token);
  expect(Date.parse(revokedAt)).toBeLessThanOrEqual(Date.parse(String(revoked.replicas.entry.at)));
  const block = { ...done, entry: { ...entry, action: 'block' } };
  expect(await operator.json('block', ...words, '--for', '30d')).toEqual(block);
  const again = (await operator.json('block', ...words, '--for', '1h')) as Published;
  expect(again).toEqual({ ...block, before: { ...entry, action: 'block' } });
  const { at, until } = again.entry as { at: string; until: string };
  expect(Date.parse(until) - Date.parse(at)).toBe(3_600_000);
  // A user who is not blocked is not unblocked, and the user who may be meant is named.
  expect(await operator.run(['unblock', '--user', 'robot:ic'])).toEqual({
    ...{ code: 1, stdout: '' },
    stderr: `sallyport: user robot:ic is not blocked\n  fix: did you mean user robot:ci? If not, list all blocks: npx -y pnpm@10 sallyport blocks --config ${operator.config}\n`,
  });
  expect(await operator.json('blocks')).toEqual({ blocks: [again.entry], unreadable: 0 });
  expect(await operator.json('unblock', ...words)).toEqual({
    ...done,
    entry: { ...entry, action: 'unblock' },
  });
  expect(await operator.json('blocks')).toEqual({ blocks: [], unreadable: 0 });
  expect(await operator.json('revoke', '--all')).toMatchObject({
    replicas: { entry: { kind: 'all' } },
    revoked: [],
  });
});

const mistyped = (user: string) =>
  `sallyport: no authenticator of this config knows user ${user}: was the name mistyped? The command was run in any case\n`;

describe('without a gateway', () => {
  beforeEach(async () => {
    // The Redis is not new, so that commands say nothing about that.
    await redis.client().set('sallyport:{revocations}:revision', 'begun');
  });

  test('a user whom no authenticator knows is blocked, with a warning; so is one whom a directory that is away may know', async () => {
    const known = { ...staticAuthenticator, name: 'ops', username: { prefix: 'ops:' } };
    const user = { base: 'dc=example,dc=com', filter: '(uid={username})' };
    const bind = { dn: 'cn=sallyport', password: { file: 'secret' } };
    const options = { urls: ['ldaps://127.0.0.1:1'], bind, user };
    const away = { name: 'corp', use: 'ldap', username: { prefix: 'corp:' }, options };
    const files = { 'tokens.yaml': tokensFile({ [randomToken()]: 'ada' }), secret: randomToken() };
    const config = replicasConfig([known, away, cachedRobots(redis.url)], redis.url);
    const { operator } = await startReplicas(0, config, files);
    for (const [name, stderr] of [
      ['ops:ada', ''],
      ['ops:eve', mistyped('ops:eve')],
      [
        'corp:eve',
        expect.stringMatching(
          /^sallyport: the name corp:eve was not checked: corp .*refused.*\. The command was run in any case/,
        ),
      ],
      ['robot:eve', ''],
    ] as const) {
      const {
        code,
        stdout,
        stderr: said,
      } = await operator.run(['block', '--user', name, '--for', '1h', '--expect', '0']);
      expect([name, code, stdout, said]).toEqual([
        name,
        0,
        expect.stringContaining(`blocked user ${name} until`),
        stderr,
      ]);
    }
    for (const command of ['revoke', 'unlock']) {
      const { code, stderr } = await operator.run([command, '--user', 'ops:eve', '--expect', '0']);
      expect([command, code, stderr.endsWith(mistyped('ops:eve'))]).toEqual([command, 3, true]);
    }
  });

  test('a name without a prefix is refused, unless it is meant to be exact', async () => {
    const more = { name: 'more', username: { prefix: 'sp:' } };
    const breakGlass = { ...staticAuthenticator, name: 'break-glass' };
    const authenticators = [cachedRobots(redis.url), cachedRobots(redis.url, more), breakGlass];
    const files = { 'tokens.yaml': tokensFile({ [randomToken()]: 'ci' }) };
    const { operator } = await startReplicas(0, replicasConfig(authenticators, redis.url), files);
    for (const [words, option, name, candidates] of [
      [['block', '--for', '1h'], '--user', 'jane', ['robot:jane', 'sp:jane']],
      [['unblock'], '--user', 'jane', ['robot:jane', 'sp:jane']],
      [['block', '--for', '1h'], '--group', 'dev', ['team:dev']],
    ] as const) {
      const { code, stdout, stderr } = await operator.run([...words, option, name]);
      expect([words, code, stdout]).toEqual([words, 2, '']);
      expect(stderr).toMatch(
        /^sallyport: nothing was done: --(user jane|group dev) doesn't begin with a prefix of this config/,
      );
      const lines = [...candidates, `${name} --exact`].map(
        (candidate) => `\n    ${option} ${candidate}`,
      );
      // For users, the answer of each authenticator follows as a comment for a shell.
      expect(
        stderr
          .replaceAll(/ +# not known: [\w-]+/g, '')
          .endsWith(`write one of these:${lines.join('')}\n`),
      ).toBe(true);
      expect(/\n {4}--user robot:jane +# not known: robots\n/.test(stderr)).toBe(
        option === '--user',
      );
    }
    for (const subject of [
      ['--user', 'jane'],
      ['--group', 'dev'],
    ]) {
      const words = ['block', ...subject, '--exact', '--for', '1h', '--expect', '0'];
      const exact = await operator.run(words);
      expect(exact).toMatchObject({
        code: 0,
        stderr: subject[0] === '--user' ? mistyped('jane') : '',
      });
      expect(exact.stdout).toContain(
        '\nno gateway has confirmed it: it takes effect when one starts.\n',
      );
      expect(exact.stdout).toContain(
        `sallyport unblock ${subject.join(' ')} --exact --config ${operator.config}\n`,
      );
    }
    // The refused commands had no effect.
    expect(await operator.json('blocks')).toMatchObject({
      blocks: [{ name: 'dev' }, { name: 'jane' }],
    });
    const unblock = ['unblock', '--user', 'jane', '--exact', '--wait', '0'];
    expect(await operator.run([...unblock, '--expect', '0'])).toMatchObject({ code: 0 });
    expect(await operator.run(unblock)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('\nno gateway has confirmed it: '),
      stderr: expect.stringMatching(
        /^sallyport: no gateway is noted in this Redis, .*\n {2}fix: .*\n$/,
      ),
    });
  });

  test('hints fit where the command runs: in a pod, and with the config that was given', async () => {
    const operator = await operatorWith([cachedRobots(redis.url)], redis.url);
    const setup = {
      cwd: dirname(operator.config),
      env: { ...operator.env, KUBERNETES_SERVICE_HOST: '10.0.0.1' },
    };
    const words = ['block', '--token', '--for', '1h', '--expect', '0', '--config', 'gateway.yaml'];
    const token = randomToken();
    const { code, stdout } = await runCommand(words, setup, token);
    const digest = sha256(token).slice(0, 12);
    const hint = `kubectl exec ${hostname()} -- sallyport unblock --digest ${digest} --config gateway.yaml`;
    expect([code, stdout.split('\n').at(-2)]).toEqual([0, `To remove it early: ${hint}`]);
    expect(await runCommand(['explain', '--config', 'gateway.yaml'], setup, '')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        `from a file: kubectl exec -it ${hostname()} -- sallyport explain --config`,
      ),
    });
  });

  test('an issuer that fails keeps neither the others nor the list from being changed', async () => {
    const down = {
      name: 'down',
      use: 'redis',
      username: { prefix: 'robot:' },
      options: { url: 'redis://127.0.0.1:1' },
    };
    const people = { ...down, name: 'people', username: { prefix: 'person:' } };
    const operator = await operatorWith([down, people, cachedRobots(redis.url)], redis.url);
    await newToken('ci');
    const { code, stdout, stderr } = await operator.run([
      'revoke',
      '--user',
      'robot:ci',
      '-o',
      'json',
    ]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      replicas: { entry: { action: 'revoke', name: 'robot:ci' } },
      revoked: [{ authenticator: 'robots' }],
      problems: [{ authenticator: 'down', problem: expect.stringMatching(/refused/) }],
    });
    expect(stderr).toMatch(/^sallyport: not all tokens of authenticator down are revoked: /);
  });

  test('what was revoked is reported, also when the cache Redis is down', async () => {
    const operator = await operatorWith([cachedRobots(redis.url)], 'redis://127.0.0.1:1');
    const token = await newToken('ci');
    const { code, stdout, stderr } = await operator.run(['revoke', '--token', '-o', 'json'], token);
    expect([code, JSON.parse(stdout)]).toEqual([
      1,
      {
        revoked: [expect.objectContaining({ authenticator: 'robots' })],
        already: [],
        unreadable: [],
        problems: [],
      },
    ]);
    expect(stderr).toMatch(
      /^sallyport: the replicas did not learn of it, so they keep their cached answers: redis:\/\/127\.0\.0\.1:1: .*refused/,
    );
    const other = await newToken('cd');
    const text = await operator.run(['revoke', '--token'], other);
    expect(text).toMatchObject({ code: 1, stdout: expect.stringContaining('1 token revoked.\n') });
    expect(text.stdout).toContain(
      'A replica may accept it from its cache for 5m more (authenticatedTtl)',
    );
  });

  test('without cache.redis tokens are revoked; all else needs it', async () => {
    const operator = await operatorWith([cachedRobots(redis.url)]);
    const token = await newToken('ci');
    for (const words of [
      ['revoke', '--all'],
      ['block', '--user', 'robot:ci', '--for', '1h'],
      ['unblock', '--user', 'robot:ci'],
      ['blocks'],
    ]) {
      const { code, stdout, stderr } = await operator.run(words, token);
      expect([words, code, stdout]).toEqual([words, 1, '']);
      expect(stderr).toContain(
        `sallyport: ${words[0]} needs cache.redis, through which the gateways learn of it`,
      );
    }
    expect(await stored(token)).toEqual({ username: 'ci' });
    const { code, stdout } = await operator.run(['revoke', '--token'], token);
    expect(code).toBe(0);
    expect(stdout).toContain(
      '1 token revoked.\nWithout cache.redis no replica forgets what it has cached. A replica may accept it from its cache ' +
        'for 5m more (authenticatedTtl), and 10m beyond while the backend is down (staleTtl).\n',
    );
    // No replica can confirm it.
    expect((await operator.run(['revoke', '--token', '--expect', '1'], token)).code).toBe(1);
  });

  test.each([
    [
      ['block', '--user', 'a'],
      "error: required option '--for <duration>' not specified\n  fix: add it, such as --for 8h\n",
    ],
    [
      ['block', '--for', '1h'],
      'sallyport: it is not clear what to block\n  fix: write exactly one of: --user NAME, --group NAME, --token',
    ],
    [
      ['revoke', '--all', '--authenticator', 'robots'],
      "error: option '--all' cannot be used with option '--authenticator <name>'",
    ],
  ])('%j is wrong usage', async (words, message) => {
    const operator = await operatorWith(
      [cachedRobots('redis://127.0.0.1:1')],
      'redis://127.0.0.1:1',
    );
    const { code, stdout, stderr } = await operator.run(words);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr.startsWith(message)).toBe(true);
  });
});
