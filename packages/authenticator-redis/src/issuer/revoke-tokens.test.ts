import type { TokenSelection } from '@sallyport/authenticator';
import { errorOf } from '@sallyport/test-servers/error-of';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { beforeEach, describe, expect, test } from 'vitest';
import { type LayoutName, layouts } from '../layouts.ts';
import { collect, never, startAuthenticator, startIssuer } from '../testing/plugin.ts';
import { keyOf, store, storeToken } from '../testing/records.ts';
import { digestToken, makeToken } from '../token.ts';

const redis = await redisForFile();
beforeEach(async () => {
  await redis.client().flushall();
});

const hour = 3_600_000;
const midday = Date.UTC(2026, 5, 1, 12);
const revocation = { at: new Date(midday), by: 'security "team"', reason: 'leaked' };
const rejected = { kind: 'rejected', reason: 'revoked' };

describe.each(Object.keys(layouts) as LayoutName[])(
  'tokens whose records are stored as %s',
  (layout) => {
    const written = () => ({ url: redis.url, layout });
    const start = () => startIssuer(written(), () => midday);
    const put = (record: Record<string, unknown>) => storeToken(redis.client(), layout, record);

    async function revoke(selection: TokenSelection, how: object = revocation): Promise<unknown[]> {
      await using started = await start();
      return await collect(started.issuer.revoke(selection, { ...revocation, ...how }, never));
    }

    async function ask(token: string): Promise<unknown> {
      await using gateway = await startAuthenticator(written(), () => midday);
      return await gateway.ask(token);
    }

    test.each(['token', 'digest'] as const)(
      'are revoked by their %s, each by itself',
      async (by) => {
        const [token, other] = [
          await put({ username: 'ci', groups: ['dev'] }),
          await put({ username: 'ci' }),
        ];
        const digest = digestToken(token);
        const selection = by === 'token' ? { token } : { digest };
        const known = { digest, user: { username: 'ci', groups: ['dev'] }, revoked: revocation };
        expect(await revoke(selection)).toEqual([{ token: known, already: false }]);
        expect(await ask(token)).toEqual({ ...rejected, subject: 'ci' });
        expect(await ask(other)).toMatchObject({ kind: 'authenticated' });
        await using started = await start();
        expect(await collect(started.issuer.list({ digest }, never))).toEqual([known]);
      },
    );

    test('are revoked by username: all of that user, and no others', async () => {
      const own = [await put({ username: 'ci' }), await put({ username: 'ci', uid: '7' })];
      const others = await Promise.all(['CI', 'ci2', 'c'].map((username) => put({ username })));
      const revoked = await revoke({ username: 'ci' });
      expect(revoked).toHaveLength(2);
      for (const token of own) expect(await ask(token)).toMatchObject(rejected);
      for (const token of others) expect(await ask(token)).toMatchObject({ kind: 'authenticated' });
    });

    test('that do not exist are not reported, and not created', async () => {
      for (const selection of [
        { token: makeToken('sp_') },
        { digest: 'ab'.repeat(32) },
        { username: 'ci' },
      ]) {
        expect(await revoke(selection)).toEqual([]);
      }
      expect(await redis.client().dbsize()).toBe(0);
    });

    test('that were revoked before keep their first revocation', async () => {
      const token = await put({ username: 'ci' });
      await revoke({ token });
      const later = { at: new Date(midday + hour), by: 'jane', reason: 'again' };
      for (const selection of [{ token }, { username: 'ci' }]) {
        expect(await revoke(selection, later)).toMatchObject([
          { already: true, token: { revoked: revocation } },
        ]);
      }
      const bare = await put({ username: 'jane', revokedAt: '2020-01-01T00:00:00Z' });
      expect(await revoke({ token: bare })).toMatchObject([
        { already: true, token: { revoked: { at: new Date(Date.UTC(2020)) } } },
      ]);
      expect(await revoke({ token: bare })).not.toMatchObject([
        { token: { revoked: { by: expect.anything() } } },
      ]);
    });

    test('keep all other fields of their record, and the end of their key', async () => {
      const token = makeToken('sp_');
      const foreign = { 'x-id': '12345678901234567890', 'x-note': 'ö "a"' };
      await store(
        redis.client(),
        layout,
        token,
        { ...foreign, username: 'ci', groups: ['b', 'a'] },
        hour,
      );
      const key = keyOf(token);
      const before =
        layout === 'json'
          ? ((await redis.client().get(key)) ?? '')
          : await redis.client().hgetall(key);
      const [
        {
          token: { expiresAt },
        } = { token: {} },
      ] = (await revoke({ token })) as { token: { expiresAt?: Date } }[];
      expect(expiresAt?.getTime()).toBeLessThanOrEqual(midday + hour);
      expect(expiresAt?.getTime()).toBeGreaterThan(midday + hour / 2);
      const added = {
        revokedAt: '2026-06-01T12:00:00.000Z',
        revokedBy: 'security "team"',
        revokedReason: 'leaked',
      };
      if (typeof before === 'string') {
        expect(await redis.client().get(key)).toBe(
          `${before.slice(0, -1)},${JSON.stringify(added).slice(1)}`,
        );
      } else expect(await redis.client().hgetall(key)).toEqual({ ...before, ...added });
      const left = await redis.client().pttl(key);
      expect(left).toBeGreaterThan(hour / 2);
      expect(left).toBeLessThanOrEqual(hour);
      const endless = await put({ username: 'ci' });
      await revoke({ token: endless });
      expect(await redis.client().pttl(keyOf(endless))).toBe(-1);
    });

    test('are revoked also when they are expired or not yet valid', async () => {
      const over = await put({ username: 'a', expiresAt: '2020-01-01T00:00:00Z' });
      const ahead = await put({ username: 'b', notBefore: '2099-01-01T00:00:00Z' });
      for (const token of [over, ahead]) {
        expect(await revoke({ token })).toMatchObject([{ already: false }]);
        expect(await ask(token)).toMatchObject(rejected);
      }
    });

    test('that cannot be read are reported, and not changed', async () => {
      const [bad, foreign] = [await put({ username: 'ci', expires: '1' }), makeToken('sp_')];
      await redis.client().rpush(keyOf(foreign), 'x');
      const good = await put({ username: 'ci' });
      const dump = () =>
        Promise.all([bad, foreign].map((token) => redis.client().dumpBuffer(keyOf(token))));
      const before = await dump();
      const unreadable = [
        {
          digest: digestToken(bad),
          problem: expect.stringMatching(/^has an unknown field expires: /),
        },
        {
          digest: digestToken(foreign),
          problem: `is not a ${layouts[layout].type}, as layout says`,
        },
      ];
      expect([
        ...(await revoke({ token: bad })),
        ...(await revoke({ digest: digestToken(foreign) })),
      ]).toEqual(unreadable);
      const all = await revoke({ username: 'ci' });
      expect(all).toHaveLength(3);
      expect(all).toEqual(
        expect.arrayContaining([
          ...unreadable,
          {
            already: false,
            token: { digest: digestToken(good), user: { username: 'ci' }, revoked: revocation },
          },
        ]),
      );
      expect(await dump()).toEqual(before);
    });

    test.each([
      { how: { by: '' }, problem: 'revokedBy must not be empty' },
      { how: { reason: 'a\uFFFD' }, problem: 'is not UTF-8' },
      { how: { at: new Date(Date.UTC(10_000, 0)) }, problem: /^revokedAt must be a date and time/ },
      { how: { reason: 'x'.repeat(65_536) }, problem: /^is too big/ },
    ])('are not revoked when their record would be invalid: %#', async ({ how, problem }) => {
      const token = await put({ username: 'ci' });
      for (const selection of [{ token }, { username: 'ci' }]) {
        const { message } = await errorOf(revoke(selection, how));
        const [, said = ''] = message.split("tokens can't be revoked with this text: ");
        if (typeof problem === 'string') expect(said).toBe(problem);
        else expect(said).toMatch(problem);
      }
      expect(await ask(token)).toMatchObject({ kind: 'authenticated' });
    });
  },
);
