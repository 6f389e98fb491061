import { randomBytes } from 'node:crypto';
import { commandCalls, forgetCalls } from '@sallyport/test-servers/redis-command-calls';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { expect, test } from 'vitest';
import { lookUpCommands } from './testing/access-lists.ts';
import { newJwt } from './testing/jwt.ts';
import { startAuthenticator } from './testing/plugin.ts';
import { makeToken } from './token.ts';

const redis = await redisForFile();

const own = makeToken('sp_');
const foreign = [
  newJwt({ iss: 'https://login.example.com', sub: 'jane' }),
  makeToken('ghp_'),
  own.slice(0, -1),
  `${own}\n`,
  own.toUpperCase(),
  randomBytes(32).toString('base64url'),
  'sp_',
  'x'.repeat(16_384),
];

test.each(['no-opinion', 'rejected'])(
  'tokens of others are nothing to Redis, also where unknown is %s',
  async (unknown) => {
    await using started = await startAuthenticator({
      url: redis.url,
      unknown,
      trackLastUse: '10s',
    });
    await forgetCalls(redis);
    for (const token of foreign) {
      expect(started.authenticator.recognizes?.(token)).toBe(false);
      expect(await started.ask(token)).toEqual({ kind: 'no-opinion' });
    }
    expect((await commandCalls(redis)).names).toEqual([]);
    // This shows that `commandCalls` counts at all.
    await started.ask(own);
    expect((await commandCalls(redis)).names).toEqual(lookUpCommands('json'));
  },
);

test.each(['json', 'hash'])(
  'a token of ours without a record as %s is what the option unknown says',
  async (layout) => {
    await using open = await startAuthenticator({ url: redis.url, layout });
    expect(open.authenticator.recognizes?.(own)).toBe(true);
    expect(await open.ask(own)).toEqual({ kind: 'no-opinion' });
    await using closed = await startAuthenticator({ url: redis.url, layout, unknown: 'rejected' });
    expect(await closed.ask(own)).toEqual({ kind: 'rejected', reason: 'invalid-credentials' });
  },
);

test('only a prefix of all tokens is reported to `sallyport check`', async () => {
  await using prefixed = await startAuthenticator({
    url: redis.url,
    tokenPrefix: 'robot_',
    tokenPattern: '[a-z_]+',
  });
  expect(prefixed.authenticator.tokenPrefix).toBe('robot_');
  await using patterned = await startAuthenticator({ url: redis.url, tokenPattern: '[a-z_]+' });
  expect(patterned.authenticator).not.toHaveProperty('tokenPrefix');
});
