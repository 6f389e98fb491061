import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { issue, recordKey } from '@sallyport/test-servers/redis-tokens';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken } from '@sallyport/test-servers/tokens';
import { afterEach, expect, test } from 'vitest';
import { cachedRobots, type Published, replicasConfig, startReplicas } from './testing/replicas.ts';

const redis = await redisForFile();
afterEach(async () => {
  await redis.client().flushall();
});

const newToken = (username: string) => issue(() => redis, { username });
const stored = async (token: string) =>
  JSON.parse(String(await redis.client().get(recordKey(token))));

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
  `sallyport: no authenticator of this config knows user ${user}: was the name mistyped? The command was run in any case\n  fix: if so, run it again with the name that kubectl auth whoami shows the user, or that the log has as username. If it is a group, run: npx -y pnpm@10 sallyport block --group ${user} --for 60m`;

test('a user whom no authenticator knows is blocked, with a warning; so is one whom a directory that is away may know', async () => {
  // The Redis is not new, so that commands say nothing about that.
  await redis.client().set('sallyport:{revocations}:revision', 'begun');
  const known = { ...staticAuthenticator, name: 'ops', username: { prefix: 'ops:' } };
  const user = { base: 'dc=example,dc=com', filter: '(uid={username})' };
  const bind = { dn: 'cn=sallyport', password: { file: 'secret' } };
  const options = { urls: ['ldaps://127.0.0.1:1'], bind, user };
  const away = { name: 'corp', use: 'ldap', username: { prefix: 'corp:' }, options };
  const files = { 'tokens.yaml': tokensFile({ [randomToken()]: 'ada' }), secret: randomToken() };
  const config = replicasConfig([known, away, cachedRobots(redis.url)], redis.url);
  const { operator } = await startReplicas(0, config, files);
  for (const { name, remark } of [
    { name: 'ops:eve', remark: expect.stringContaining(mistyped('ops:eve')) },
    {
      name: 'corp:eve',
      remark: expect.stringMatching(
        /^sallyport: the name corp:eve was not checked: corp .*refused.*\. The command was run in any case/,
      ),
    },
  ]) {
    expect(await operator.run(['block', '--user', name, '--for', '1h', '--expect', '0'])).toEqual({
      code: 0,
      stdout: expect.stringContaining(`blocked user ${name} until`),
      stderr: remark,
    });
  }
});
