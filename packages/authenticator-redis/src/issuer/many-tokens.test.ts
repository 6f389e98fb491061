import { commandCalls, forgetCalls } from '@sallyport/test-servers/redis-command-calls';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { describe, expect, test } from 'vitest';
import { type LayoutName, layouts } from '../layouts.ts';
import { lookUpCommands } from '../testing/access-lists.ts';
import { collect, never, startIssuer } from '../testing/plugin.ts';
import { store } from '../testing/records.ts';
import { digestToken, makeToken } from '../token.ts';

const redis = await redisForFile();

const userCount = 10;
const tokensOfUser = 100;
const revocation = { at: new Date(Date.UTC(2026, 5, 1)), by: 'security' };

/** @returns the user of each digest */
async function fill(layout: LayoutName): Promise<Map<string, string>> {
  const users = new Map<string, string>();
  for (let user = 0; user < userCount; user += 1) {
    const tokens = Array.from({ length: tokensOfUser }, () => makeToken('sp_'));
    await Promise.all(
      tokens.map((token) => store(redis.client(), layout, token, { username: `user-${user}` })),
    );
    for (const token of tokens) users.set(digestToken(token), `user-${user}`);
  }
  return users;
}

describe.each(Object.keys(layouts) as LayoutName[])(
  'among 1,000 tokens whose records are stored as %s',
  (layout) => {
    test("one user's are listed and revoked in small commands, which do not block other clients", async () => {
      await redis.client().flushall();
      const users = await fill(layout);
      await using started = await startIssuer({ url: redis.url, layout });
      await forgetCalls(redis);

      const listed = await collect(started.issuer.list({}, never));
      expect(
        new Map(
          listed.map((token) => [token.digest, 'problem' in token ? '' : token.user.username]),
        ),
      ).toEqual(users);
      expect(listed).toHaveLength(users.size);

      const revoked = await collect(
        started.issuer.revoke({ username: 'user-7' }, revocation, never),
      );
      const digests = revoked.map((one) => ('token' in one ? one.token.digest : ''));
      expect(new Set(digests.map((digest) => users.get(digest)))).toEqual(new Set(['user-7']));
      expect(new Set(digests).size).toBe(tokensOfUser);

      const calls = await commandCalls(redis);
      const written = layout === 'json' ? ['set'] : ['exists', 'hexists', 'hset'];
      const named = ['eval', ...lookUpCommands(layout), ...written, 'role', 'scan'].sort();
      expect(calls.names).toEqual(named);
      expect(calls.of('eval')).toBe(tokensOfUser);
      // Two lists, each of as many pages as it takes when one looks at 250 keys at most.
      expect(calls.of('scan')).toBeGreaterThanOrEqual((2 * users.size) / 250);

      const left = await collect(started.issuer.list({}, never));
      const isRevoked = left.filter((token) => 'revoked' in token);
      expect(isRevoked.map(({ digest }) => digest).sort()).toEqual([...digests].sort());
    });
  },
);
