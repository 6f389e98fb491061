import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { randomToken, secret, sha256 } from '@sallyport/test-servers/tokens';
import { beforeEach, expect, test } from 'vitest';
import { awayEntry, createBlockPlace, robotsEntry } from './testing/block-place.ts';

const redis = await redisForFile();
beforeEach(async () => {
  await redis.client().flushall();
  // The Redis is not new, so that commands say nothing about that.
  await redis.client().set('sallyport:{revocations}:revision', 'begun');
});

const corp = { ...awayEntry, name: 'corp', username: { prefix: 'corp:' } };

test('no server is asked whose token it is, and each user that it may be is named, quoted for a shell', async () => {
  const eu = { ...corp, name: 'eu', username: { prefix: 'eu:' } };
  await using place = await createBlockPlace([corp, eu], redis.url);
  const login = Buffer.from(`o'neil $x:${randomToken()}`).toString('base64');
  const { code, stdout, stderr } = await place.run(
    ['block', '--token', '--for', '1h', '-o', 'json'],
    secret(login),
  );
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain('for authenticators corp, eu.');
  const commands = ['corp', 'eu'].map(
    (prefix) =>
      String.raw`    sallyport block --user '${prefix}:o'\''neil $x' --for 8h --config ${place.config}`,
  );
  expect(stderr.endsWith(`:\n${commands.join('\n')}\n`)).toBe(true);
});

test('a token that no authenticator can have is remarked on, and blocked', async () => {
  await using place = await createBlockPlace([corp, robotsEntry(redis.url)], redis.url);
  const token = randomToken();
  expect(
    await place.run(['block', '--token', '--for', '1h', '--expect', '0'], token),
  ).toMatchObject({
    code: 0,
    stderr:
      'sallyport: no authenticator of this config has tokens of this form: was the token cut or mistyped? The command continues\n',
  });
  expect(await place.json('blocks')).toMatchObject({
    blocks: [{ kind: 'token', name: sha256(token) }],
  });
  expect(await place.run(['unblock', '--token', '--expect', '0'], token)).toMatchObject({
    code: 0,
    stderr: '',
  });
});

test('nothing is done while an authenticator cannot say whose token it is', async () => {
  const broken = { ...corp, options: { ...corp.options, caFile: 'missing.crt' } };
  await using place = await createBlockPlace([broken, robotsEntry(redis.url)], redis.url);
  for (const words of [
    ['block', '--token', '--for', '1h'],
    ['revoke', '--token'],
  ]) {
    const { code, stdout, stderr } = await place.run(words, randomToken());
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      /^sallyport: nothing was done: to (block|revoke) a token, each authenticator must say whether it contains a password, and one can't: .*authenticator corp .*missing\.crt can't be read: .*\n {2}fix: fix that, or name the user: sallyport (block|revoke) --user NAME( --for 8h)? --config \S+\n$/,
    );
  }
  expect(await place.json('blocks')).toMatchObject({ blocks: [] });
  expect(
    await place.run(['block', '--user', 'corp:jane', '--for', '1h', '--expect', '0']),
  ).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(
      /: corp can't check it \(.* can't be made: .*missing\.crt can't be read: .*\)\. The command was run in any case/,
    ),
  });
});
