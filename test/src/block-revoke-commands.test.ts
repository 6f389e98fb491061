import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { startRedis } from '@sallyport/test-servers/redis';
import { describe, expect, test } from 'vitest';
import { runCommand } from './testing/command.ts';
import type { ListedToken } from './testing/redis-commands.ts';
import { cachedRobots, type Published, replicasConfig, startReplicas } from './testing/replicas.ts';
import { staticAuthenticator, tokensFile } from './testing/static-tokens.ts';
import { randomToken, sha256 } from './testing/tokens.ts';

test('-o json has the entry, who has confirmed, and the tokens', { timeout: 60_000 }, async () => {
  await using redis = await startRedis();
  await using replicas = await startReplicas(1, replicasConfig([cachedRobots(redis.url)], redis.url));
  const { operator } = replicas;
  await operator.create('--user', 'ci');
  const done = { confirmed: [expect.any(String)], unconfirmed: [], gone: [], unreadable: 0 };
  const times = { at: expect.stringMatching(/Z$/), until: expect.stringMatching(/Z$/) };
  const entry = { ...times, kind: 'user', name: 'robot:ci', by: 'eve' };
  const words = ['--user', 'robot:ci', '--by', 'eve'];
  const revoked = (await operator.json('revoke', ...words, '--reason', 'lost')) as { replicas: Published };
  expect(revoked).toEqual({
    ...{ revoked: [expect.objectContaining({ authenticator: 'robots', state: 'revoked' })], already: [] },
    ...{ unreadable: [], problems: [] },
    replicas: { ...done, entry: { ...entry, action: 'revoke', reason: 'lost' } },
  });
  // The token first: else a gateway could ask, and keep the answer, in between.
  const { tokens } = (await operator.json('token', 'list')) as { tokens: ListedToken[] };
  expect(Date.parse(tokens[0]?.revoked?.at ?? '')).toBeLessThanOrEqual(Date.parse(String(revoked.replicas.entry.at)));
  const block = { ...done, entry: { ...entry, action: 'block' } };
  expect(await operator.json('block', ...words, '--for', '30d')).toEqual(block);
  const again = (await operator.json('block', ...words, '--for', '1h')) as Published;
  expect(again).toEqual({ ...block, before: { ...entry, action: 'block' } });
  const { at, until } = again.entry as { at: string; until: string };
  expect(Date.parse(until) - Date.parse(at)).toBe(3_600_000);
  expect(await operator.json('blocks')).toEqual({ blocks: [again.entry], unreadable: 0 });
  expect(await operator.json('unblock', ...words)).toEqual({ ...done, entry: { ...entry, action: 'unblock' } });
  expect(await operator.json('blocks')).toEqual({ blocks: [], unreadable: 0 });
  expect(await operator.json('revoke', '--all')).toMatchObject({ replicas: { entry: { kind: 'all' } }, revoked: [] });
});

describe('without a gateway', { timeout: 60_000 }, () => {
  test('no user is unblocked who is not blocked, and the one that may be meant is named', async () => {
    await using redis = await startRedis();
    await using replicas = await startReplicas(0, replicasConfig([cachedRobots(redis.url)], redis.url));
    const { operator } = replicas;
    await operator.run(['block', '--user', 'robot:jane', '--for', '1h']);
    expect(await operator.run(['unblock', '--user', 'robot:jnae'])).toEqual({
      ...{ code: 1, stdout: '' },
      stderr: `sallyport: user robot:jnae is not blocked. Did you mean user robot:jane? To list all blocks: npx -y pnpm@10 sallyport blocks --config ${operator.config}\n`,
    });
    expect(await operator.json('blocks')).toMatchObject({ blocks: [{ name: 'robot:jane' }] });
  });

  test.each([
    ['--user', 'jane', ['robot:jane', 'sp:jane']],
    ['--group', 'dev', ['team:dev']],
  ] as const)('a name without a prefix is refused: %s %s', async (option, name, candidates) => {
    await using redis = await startRedis();
    const more = { name: 'more', username: { prefix: 'sp:' } };
    const breakGlass = { ...staticAuthenticator, name: 'break-glass' };
    const config = replicasConfig([cachedRobots(redis.url), cachedRobots(redis.url, more), breakGlass], redis.url);
    await using replicas = await startReplicas(0, config, { 'tokens.yaml': tokensFile({ [randomToken()]: 'ci' }) });
    const { operator } = replicas;
    for (const words of [['block', '--for', '1h'], ['unblock']]) {
      const { code, stdout, stderr } = await operator.run([...words, option, name]);
      expect([words, code, stdout]).toEqual([words, 2, '']);
      expect(stderr).toMatch(
        /^sallyport: nothing was done: --(user jane|group dev) begins with no prefix of this config/,
      );
      const lines = [...candidates, `${name} --exact`].map((candidate) => `\n  ${option} ${candidate}`);
      expect(stderr.endsWith(`Write one of these:${lines.join('')}\n`)).toBe(true);
    }
    expect(await operator.json('blocks')).toMatchObject({ blocks: [] });
    const exact = await operator.run(['block', option, name, '--exact', '--for', '1h']);
    expect(exact).toMatchObject({ code: 0, stderr: '' });
    expect(exact.stdout).toContain(`sallyport unblock ${option} ${name} --exact --config ${operator.config}\n`);
    expect(await operator.json('blocks')).toMatchObject({ blocks: [{ name }] });
    expect(await operator.run(['unblock', option, name, '--exact'])).toMatchObject({ code: 0 });
  });

  test('hints fit where the command runs: in a pod, and with the config that was given', async () => {
    await using redis = await startRedis();
    await using replicas = await startReplicas(0, replicasConfig([cachedRobots(redis.url)], redis.url));
    const { operator } = replicas;
    const setup = { cwd: dirname(operator.config), env: { ...operator.env, KUBERNETES_SERVICE_HOST: '10.0.0.1' } };
    const inPod = (words: readonly string[]) => runCommand(words, setup, randomToken());
    const pod = hostname();
    for (const [words, hint] of [
      [['--user', 'robot:ci'], `kubectl exec ${pod} -- sallyport unblock --user robot:ci --config gateway.yaml`],
      [['--token'], `kubectl exec -it ${pod} -- sallyport unblock --token --config gateway.yaml`],
    ] as const) {
      const { code, stdout } = await inPod(['block', ...words, '--for', '1h', '--config', 'gateway.yaml']);
      expect([code, stdout.split('\n').at(-2)]).toEqual([0, `To end it before its time: ${hint}`]);
    }
  });

  test('an issuer that fails keeps neither the others nor the list from being changed', async () => {
    await using redis = await startRedis();
    const down = {
      name: 'down',
      use: 'redis',
      username: { prefix: 'robot:' },
      options: { url: 'redis://127.0.0.1:1' },
    };
    const people = { ...down, name: 'people', username: { prefix: 'person:' } };
    const config = replicasConfig([down, people, cachedRobots(redis.url)], redis.url);
    await using replicas = await startReplicas(0, config);
    const { operator } = replicas;
    await operator.create('--user', 'ci', '--authenticator', 'robots');
    const { code, stdout, stderr } = await operator.run(['revoke', '--user', 'robot:ci', '-o', 'json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      replicas: { entry: { action: 'revoke', name: 'robot:ci' } },
      revoked: [{ authenticator: 'robots' }],
      problems: [{ authenticator: 'down', problem: expect.stringMatching(/refused/) }],
    });
    expect(stderr).toMatch(/^sallyport: not all tokens of authenticator down are revoked: /);
  });

  test('what was revoked is reported, also when the cache Redis is down', async () => {
    await using redis = await startRedis();
    await using replicas = await startReplicas(0, replicasConfig([cachedRobots(redis.url)], 'redis://127.0.0.1:1'));
    const { operator } = replicas;
    const token = await operator.create('--user', 'ci');
    const { code, stdout, stderr } = await operator.run(['revoke', '--token', '-o', 'json'], token);
    expect([code, JSON.parse(stdout)]).toEqual([
      1,
      { revoked: [expect.objectContaining({ authenticator: 'robots' })], already: [], unreadable: [], problems: [] },
    ]);
    expect(stderr).toMatch(
      /^sallyport: the replicas did not learn of it, so they keep what they have cached: redis:\/\/127\.0\.0\.1:1: .*refused/,
    );
    const other = await operator.create('--user', 'cd');
    const text = await operator.run(['revoke', '--token'], other);
    expect(text).toMatchObject({ code: 1, stdout: expect.stringContaining('1 token revoked.\n') });
    expect(text.stdout).toContain('A replica may accept it from its cache for 5m more (authenticatedTtl)');
  });

  test('without cache.redis tokens are revoked; all else needs it', async () => {
    await using redis = await startRedis();
    await using replicas = await startReplicas(0, replicasConfig([cachedRobots(redis.url)]));
    const { operator } = replicas;
    const token = await operator.create('--user', 'ci');
    for (const words of [
      ['revoke', '--all'],
      ['block', '--user', 'robot:ci', '--for', '1h'],
      ['unblock', '--user', 'robot:ci'],
      ['blocks'],
    ]) {
      const { code, stdout, stderr } = await operator.run(words, token);
      expect([words, code, stdout]).toEqual([words, 1, '']);
      expect(stderr).toContain(`sallyport: ${words[0]} needs cache.redis, through which the gateways learn of it`);
    }
    expect(await operator.json('token', 'list')).toMatchObject({ tokens: [{ state: 'good' }] });
    const { code, stdout } = await operator.run(['revoke', '--token'], token);
    expect(code).toBe(0);
    expect(stdout).toContain(
      '1 token revoked.\nWithout cache.redis no replica forgets what it has cached. A replica may accept it from its cache ' +
        'for 5m more (authenticatedTtl), and 10m beyond while the backend is down (staleTtl).\n',
    );
  });

  test.each([
    [['block', '--user', 'a'], "error: required option '--for <duration>' not specified"],
    [['block', '--user', 'a', '--for', '367d'], 'sallyport: --for must be at most 366d'],
    [['block', '--for', '1h'], 'sallyport: name what to block with exactly one of: --user NAME, --group NAME, --token'],
    [['block', '--user', 'a', '--group', 'b', '--for', '1h'], 'sallyport: name what to block with exactly one of'],
    [['unblock'], 'sallyport: name what to unblock with exactly one of'],
    [
      ['revoke'],
      'sallyport: name what to revoke with exactly one of: --user NAME, --token (which is read from standard input), --digest DIGITS, --all',
    ],
    [
      ['revoke', '--all', '--authenticator', 'robots'],
      "error: option '--all' cannot be used with option '--authenticator <name>'",
    ],
    [['revoke', '--user', 'a', '--all'], 'sallyport: name what to revoke with exactly one of'],
    [['revoke', '--all', '--by', ''], 'sallyport: --by is empty'],
    [['revoke', '--all', '--reason', ' '], 'sallyport: --reason is empty'],
    [['revoke', '--all', '--wait', '1d'], 'sallyport: --wait must be at most 10m'],
    [['revoke', '--token'], 'sallyport: no token on standard input'],
  ])('%j is wrong usage', async (words, message) => {
    const config = replicasConfig([cachedRobots('redis://127.0.0.1:1')], 'redis://127.0.0.1:1');
    await using replicas = await startReplicas(0, config);
    const { code, stdout, stderr } = await replicas.operator.run(words);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr.startsWith(message)).toBe(true);
  });

  test('a token that is no issued one is blocked by itself, and never shown', async () => {
    await using redis = await startRedis();
    await using replicas = await startReplicas(0, replicasConfig([cachedRobots(redis.url)], redis.url));
    const token = randomToken();
    const { code } = await replicas.operator.run(['block', '--token', '--for', '1h'], `${token}\n`);
    expect(code).toBe(0);
    expect(await replicas.operator.json('blocks')).toMatchObject({ blocks: [{ kind: 'token', name: sha256(token) }] });
  });
});
