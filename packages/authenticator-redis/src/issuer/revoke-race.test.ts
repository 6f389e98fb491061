import { errorOf } from '@sallyport/test-servers/error-of';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { type LayoutName, layouts } from '../layouts.ts';
import { interruptedStore } from '../testing/interrupted-store.ts';
import { collect, never, startIssuer } from '../testing/plugin.ts';
import { keyOf, storeToken, type WrittenRecord } from '../testing/records.ts';
import { digestToken } from '../token.ts';
import { revokeTokens } from './revoke-tokens.ts';

const redis = await redisForFile();

const revocation = { at: new Date(Date.UTC(2026, 5, 1)), by: 'security' };
const written = { revokedAt: '2026-06-01T00:00:00.000Z', revokedBy: 'security' };

describe.each(Object.keys(layouts) as LayoutName[])(
  'while a token whose record is stored as %s is revoked',
  (layout) => {
    const client = () => redis.client();
    const put = (record: WrittenRecord) => storeToken(client(), layout, record);

    async function fieldsOf(token: string): Promise<unknown> {
      if (layout === 'hash') return await client().hgetall(keyOf(token));
      return JSON.parse((await client().get(keyOf(token))) ?? '{}');
    }

    /** Adds a field, as another system does. */
    async function change(token: string, field: string, value: string): Promise<void> {
      if (layout === 'hash') await client().hset(keyOf(token), field, value);
      else
        await client().set(
          keyOf(token),
          JSON.stringify({ ...((await fieldsOf(token)) as object), [field]: value }),
        );
    }

    /** Revokes, and calls `happens` after the record was read, the first time or each time. */
    async function revokeWhile(token: string, happens: () => Promise<unknown>, each = false) {
      await using interrupted = await interruptedStore({ url: redis.url, layout }, async (trip) => {
        if (each ? trip % 2 === 0 : trip === 2) await happens();
      });
      const revoked = await collect(revokeTokens({ token }, revocation, interrupted.store, never));
      return { revoked, trips: interrupted.trips };
    }

    test('another system changes it, the change stays, and the token is revoked', async () => {
      const token = await put({ username: 'ci' });
      const { revoked } = await revokeWhile(token, () => change(token, 'x-seen', 'yes'));
      expect(revoked).toMatchObject([{ already: false, token: { revoked: revocation } }]);
      expect(await fieldsOf(token)).toEqual({ username: 'ci', 'x-seen': 'yes', ...written });
    });

    test('another operator revokes it, the first revocation stays and is reported', async () => {
      const token = await put({ username: 'ci' });
      const { revoked } = await revokeWhile(token, () =>
        change(token, 'revokedAt', '2020-01-01T00:00:00Z'),
      );
      expect(revoked).toEqual([
        {
          already: true,
          token: {
            digest: digestToken(token),
            user: { username: 'ci' },
            revoked: { at: new Date(Date.UTC(2020)) },
          },
        },
      ]);
      expect(await fieldsOf(token)).toEqual({ username: 'ci', revokedAt: '2020-01-01T00:00:00Z' });
    });

    test('it is deleted, it stays deleted', async () => {
      const token = await put({ username: 'ci' });
      const { revoked } = await revokeWhile(token, () => client().del(keyOf(token)));
      expect(revoked).toEqual([]);
      expect(await client().exists(keyOf(token))).toBe(0);
    });

    test('it expires, it does not come back', async () => {
      const token = await put({ username: 'ci' });
      const { revoked } = await revokeWhile(token, async () => {
        await client().pexpire(keyOf(token), 1);
        await waitFor(async () => (await client().exists(keyOf(token))) === 0, 'a key to end');
      });
      expect(revoked).toEqual([]);
      expect(await client().exists(keyOf(token))).toBe(0);
    });

    test('its key gets another type, it is reported as unreadable', async () => {
      const token = await put({ username: 'ci' });
      const { revoked } = await revokeWhile(token, async () => {
        await client().del(keyOf(token));
        await client().rpush(keyOf(token), 'x');
      });
      expect(revoked).toEqual([
        { digest: digestToken(token), problem: `is not a ${layouts[layout].type}, as layout says` },
      ]);
    });

    test('it changes after each read, that is an error and no change is lost', async () => {
      const token = await put({ username: 'ci' });
      let count = 0;
      const work = revokeWhile(token, () => change(token, 'x-count', String(++count)), true);
      if (layout === 'hash') {
        // The fields of a hash change separately, without a conflict.
        expect((await work).trips).toBe(2);
        return expect(await fieldsOf(token)).toEqual({
          username: 'ci',
          'x-count': '1',
          ...written,
        });
      }
      expect((await errorOf(work)).message).toBe(
        `the record of ${digestToken(token)} kept changing while we tried to revoke it; it is not revoked. Run the command again`,
      );
      expect(await fieldsOf(token)).toEqual({ username: 'ci', 'x-count': '5' });
    });

    test('others revoke it too, one of them is first and all report the same revocation', async () => {
      const token = await put({ username: 'ci' });
      const issuers = await Promise.all(
        Array.from({ length: 8 }, () => startIssuer({ url: redis.url, layout })),
      );
      const revoked = await Promise.all(
        issuers.map(async ({ issuer }, index) => {
          const own = { at: new Date(revocation.at.getTime() + index), by: `operator ${index}` };
          const [one] = await collect(issuer.revoke({ token }, own, never));
          return one !== undefined && 'token' in one ? one : undefined;
        }),
      );
      await Promise.all(issuers.map((issuer) => issuer[Symbol.asyncDispose]()));
      expect(revoked.filter((one) => one?.already === false)).toHaveLength(1);
      const [first] = revoked;
      for (const one of revoked) expect(one?.token.revoked).toEqual(first?.token.revoked);
    });
  },
);
