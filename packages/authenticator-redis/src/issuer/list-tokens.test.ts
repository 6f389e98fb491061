import { errorOf } from '@sallyport/test-servers/error-of';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { beforeEach, describe, expect, test } from 'vitest';
import { type LayoutName, layouts } from '../layouts.ts';
import { collect, never, startIssuer } from '../testing/plugin.ts';
import { keyOf, keyPrefix, storeToken } from '../testing/records.ts';
import { digestToken, makeToken } from '../token.ts';

const redis = await redisForFile();
beforeEach(async () => {
  await redis.client().flushall();
});

const hour = 3_600_000;
const midday = Date.UTC(2026, 5, 1, 12);
const at = (time: number) => new Date(time).toISOString();

describe.each(Object.keys(layouts) as LayoutName[])(
  'tokens whose records are stored as %s',
  (layout) => {
    const start = (keys: Record<string, unknown> = {}) =>
      startIssuer({ url: redis.url, layout, ...keys }, () => midday);
    const put = (record: Record<string, unknown>) => storeToken(redis.client(), layout, record);

    test('are an empty list without tokens', async () => {
      await using started = await start();
      expect(await collect(started.issuer.list({}, never))).toEqual([]);
    });

    test('are listed with all their data, the same as when they were created', async () => {
      await using started = await start();
      const user = { username: 'ci', uid: '7', groups: ['dev'], extra: { team: ['a'] } };
      const [notBefore, expiresAt] = [new Date(midday), new Date(midday + hour)];
      const request = {
        user,
        audiences: ['api'],
        notBefore,
        expiresAt,
        issuedBy: 'jane',
        reason: 'nightly',
      };
      const { issued } = await started.issuer.create(request, never);
      expect(await collect(started.issuer.list({}, never))).toEqual([issued]);
      expect(issued).not.toHaveProperty('lastUsedAt');
    });

    test('of one digest are read without a look at any other', async () => {
      await using started = await start();
      const token = await put({ username: 'a' });
      await put({ username: 'b' });
      const client = redis.client();
      await client.config('RESETSTAT');
      const listed = await collect(started.issuer.list({ digest: digestToken(token) }, never));
      expect(listed).toMatchObject([{ digest: digestToken(token), user: { username: 'a' } }]);
      expect(await collect(started.issuer.list({ digest: digestToken('none') }, never))).toEqual(
        [],
      );
      await client.lpush(keyOf('other'), 'x');
      const other = {
        digest: digestToken('other'),
        problem: expect.stringContaining('as layout says'),
      };
      expect(await collect(started.issuer.list({ digest: digestToken('other') }, never))).toEqual([
        other,
      ]);
      expect(await client.info('commandstats')).not.toContain('cmdstat_scan');
    });

    test('are listed also when they are expired, not yet valid or revoked', async () => {
      await using started = await start();
      const over = await put({ username: 'a', expiresAt: at(midday - hour) });
      const ahead = await put({ username: 'b', notBefore: at(midday + hour) });
      const gone = await put({
        username: 'c',
        revokedAt: at(midday),
        revokedBy: 'jane',
        revokedReason: 'leaked',
      });
      const listed = await collect(started.issuer.list({}, never));
      const of = (token: string) => listed.find(({ digest }) => digest === digestToken(token));
      expect(listed).toHaveLength(3);
      expect(of(over)).toEqual({
        digest: digestToken(over),
        user: { username: 'a' },
        expiresAt: new Date(midday - hour),
      });
      expect(of(ahead)).toMatchObject({ notBefore: new Date(midday + hour) });
      expect(of(gone)).toMatchObject({
        revoked: { at: new Date(midday), by: 'jane', reason: 'leaked' },
      });
    });

    test('end when their key expires, if that comes first', async () => {
      await using started = await start();
      const token = await put({ username: 'a', expiresAt: at(midday + 9 * hour) });
      await redis.client().pexpire(keyOf(token), hour);
      const [listed] = await collect(started.issuer.list({}, never));
      const end =
        listed !== undefined && 'expiresAt' in listed ? listed.expiresAt?.getTime() : undefined;
      expect(end).toBeLessThanOrEqual(midday + hour);
      expect(end).toBeGreaterThan(midday + hour / 2);
    });

    test('are selected by the whole name of the user, and by the start of the digest', async () => {
      await using started = await start();
      const tokens = await Promise.all(
        ['ci', 'ci', 'CI', 'ci2', 'c', 'jane'].map((username) => put({ username })),
      );
      const digests = async (filter: object) =>
        (await collect(started.issuer.list(filter, never))).map(({ digest }) => digest).sort();
      const [first = '', second = '', ...others] = tokens.map(digestToken);
      expect(await digests({ username: 'ci' })).toEqual([first, second].sort());
      expect(await digests({ username: 'nobody' })).toEqual([]);
      expect(await digests({})).toEqual([first, second, ...others].sort());
      for (const length of [8, 64])
        expect(await digests({ digest: first.slice(0, length) })).toEqual([first]);
      expect(await digests({ digest: first, username: 'ci' })).toEqual([first]);
      expect(await digests({ digest: first, username: 'jane' })).toEqual([]);
      expect(await digests({ digest: '' })).toHaveLength(6);
    });

    test('are only those of the prefix, without other keys below it', async () => {
      await using started = await start();
      const token = await put({ username: 'ci' });
      const digest = digestToken(token);
      for (const key of [
        `${keyPrefix}${digest}:last-use`,
        `${keyPrefix}${digest.toUpperCase()}`,
        `${keyPrefix}${digest}0`,
        `${keyPrefix}${digest.slice(1)}`,
        `${keyPrefix}index`,
        `other:token:${digest}`,
        `x${keyPrefix}${digest}`,
        `sallyport:other:${digest}`,
        digest,
      ]) {
        if (layout === 'json') await redis.client().set(key, '{"username":"ci"}');
        else await redis.client().hset(key, 'username', 'ci');
      }
      expect(await collect(started.issuer.list({}, never))).toEqual([
        { digest, user: { username: 'ci' } },
      ]);
      await using above = await start({ keyPrefix: 'sallyport:' });
      expect(await collect(above.issuer.list({}, never))).toEqual([]);
    });

    test.each(['a*b[c]?\\d:', 'ключ 🔑:', '{tag}'])(
      'are found below the prefix %j, of which each character is only itself',
      async (prefix) => {
        await using started = await start({ keyPrefix: prefix });
        const { issued } = await started.issuer.create(
          { user: { username: 'ci' }, issuedBy: 'jane' },
          never,
        );
        await put({ username: 'ci' });
        expect(await redis.client().exists(prefix + issued.digest)).toBe(1);
        expect(await collect(started.issuer.list({}, never))).toEqual([issued]);
        expect(
          await collect(started.issuer.list({ digest: issued.digest.slice(0, 9) }, never)),
        ).toEqual([issued]);
        const revoked = started.issuer.revoke({ username: 'ci' }, { at: new Date(midday) }, never);
        expect(await collect(revoked)).toMatchObject([
          { already: false, token: { digest: issued.digest } },
        ]);
      },
    );

    test('that cannot be read are listed with their problem, whatever the filter', async () => {
      await using started = await start();
      const [bad, foreign] = [await put({ username: 'ci', expires: '1' }), makeToken('sp_')];
      await redis.client().rpush(keyOf(foreign), 'x');
      const good = await put({ username: 'ci' });
      const expected = [
        {
          digest: digestToken(bad),
          problem: expect.stringMatching(/^has an unknown field expires: /),
        },
        {
          digest: digestToken(foreign),
          problem: `is not a ${layouts[layout].type}, as layout says`,
        },
      ];
      for (const username of ['ci', 'jane']) {
        const listed = await collect(started.issuer.list({ username }, never));
        expect(listed.filter((token) => 'problem' in token)).toEqual(
          expect.arrayContaining(expected),
        );
        expect(listed).toHaveLength(username === 'ci' ? 3 : 2);
      }
      const [one] = await collect(started.issuer.list({ digest: digestToken(good) }, never));
      expect(one).toEqual({ digest: digestToken(good), user: { username: 'ci' } });
    });

    test('end with an error when the server ends in the middle of the list', async () => {
      await using started = await start();
      await Promise.all(Array.from({ length: 600 }, () => put({ username: 'ci' })));
      const listed = started.issuer.list({}, never)[Symbol.asyncIterator]();
      expect((await listed.next()).done).toBe(false);
      await redis.kill();
      const rest = async () => {
        while (!(await listed.next()).done);
      };
      expect((await errorOf(rest())).message).toMatch(/^redis:\/\/127\.0\.0\.1:\d+: /);
      await redis.start();
    });

    test('are not read any more after an abort', async () => {
      await using started = await start();
      await Promise.all(Array.from({ length: 600 }, () => put({ username: 'ci' })));
      const controller = new AbortController();
      const listed = started.issuer.list({}, controller.signal);
      const reason = new Error('the caller has gone');
      let count = 0;
      const all = async () => {
        for await (const _ of listed) {
          count += 1;
          controller.abort(reason);
        }
      };
      expect(await errorOf(all())).toBe(reason);
      expect(count).toBeLessThan(600);
    });
  },
);
