import { connect } from '@sallyport/redis-connection';
import { newPassword } from '@sallyport/test-servers/passwords';
import { startRedis } from '@sallyport/test-servers/redis';
import { commandCalls, forgetCalls } from '@sallyport/test-servers/redis-command-calls';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { beforeEach, describe, expect, test } from 'vitest';
import { type LayoutName, layouts } from './layouts.ts';
import { makeKeys, storeWording } from './store.ts';
import { lookUpCommands, lookUpRights } from './testing/access-lists.ts';
import {
  collect,
  never,
  startAuthenticator,
  startIssuer,
  tracedContext,
} from './testing/plugin.ts';
import { keyOf, keyPrefix, store, storeToken } from './testing/records.ts';
import { settled } from './testing/written-options.ts';
import { digestToken, makeToken } from './token.ts';
import { createUseNotes } from './uses.ts';

const redis = await redisForFile();
beforeEach(async () => {
  await redis.client().flushall();
});

const day = 86_400_000;
const midday = Date.UTC(2026, 5, 1, 12);
const noteOf = (token: string) => `${keyOf(token)}:last-use`;
const note = (token: string) => redis.client().get(noteOf(token));
const untilNoted = (token: string) =>
  waitFor(async () => (await note(token)) !== null, 'a use to be noted');

describe.each(Object.keys(layouts) as LayoutName[])(
  'with trackLastUse, and records as %s',
  (layout) => {
    const written = (changed: object = {}) => ({
      url: redis.url,
      layout,
      trackLastUse: '10s',
      ...changed,
    });
    const start = (changed?: object) => startAuthenticator(written(changed), () => midday);
    const put = (record: Record<string, unknown>) => storeToken(redis.client(), layout, record);

    test('a login is noted with its time, and the note expires with the token', async () => {
      await using started = await start();
      const [short, endless] = [makeToken('sp_'), await put({ username: 'ci' })];
      const expiresAt = new Date(midday + day).toISOString();
      await store(redis.client(), layout, short, { username: 'ci', expiresAt }, 2 * day);
      for (const token of [short, endless]) {
        expect(await started.ask(token)).toMatchObject({ kind: 'authenticated' });
        await untilNoted(token);
        expect(await note(token)).toBe('2026-06-01T12:00:00.000Z');
      }
      for (const [token, lifetime] of [[short, day] as const, [endless, 400 * day] as const]) {
        const timeToLive = await redis.client().pttl(noteOf(token));
        expect(timeToLive).toBeLessThanOrEqual(lifetime);
        expect(timeToLive).toBeGreaterThan(lifetime - 60_000);
      }
    });

    test('many logins with one token in a short time are noted once, each token by itself', async () => {
      await using started = await start();
      const tokens = [await put({ username: 'ci' }), await put({ username: 'ci' })];
      await forgetCalls(redis);
      for (let count = 0; count < 20; count += 1)
        for (const token of tokens) await started.ask(token);
      await Promise.all(Array.from({ length: 20 }, () => started.ask(tokens[0] ?? '')));
      for (const token of tokens) await untilNoted(token);
      expect((await commandCalls(redis)).of('set')).toBe(2);
    });

    test('only logins are noted', async () => {
      await using started = await start();
      const asked = [
        await put({ username: 'a', revokedAt: '2020-01-01T00:00:00Z' }),
        await put({ username: 'a', expiresAt: '2020-01-01T00:00:00Z' }),
        await put({ username: 'a', notBefore: '2099-01-01T00:00:00Z' }),
        await put({ username: 'a', expires: '1' }),
        makeToken('sp_'),
        'sp_',
      ];
      await forgetCalls(redis);
      for (const token of asked) await started.ask(token).catch(() => {});
      // Its answer comes after those to all earlier commands.
      const good = await put({ username: 'ci' });
      await started.ask(good);
      await untilNoted(good);
      expect(await redis.client().keys('*:last-use')).toEqual([noteOf(good)]);
    });

    test('the last use is listed: null when there was none, or the note is no time', async () => {
      await using started = await start();
      const [used, unused, invalid] = [
        await put({ username: 'a' }),
        await put({ username: 'b' }),
        await put({ username: 'c' }),
      ];
      await started.ask(used);
      await untilNoted(used);
      await redis.client().set(noteOf(invalid), 'yesterday');
      await using issuer = await startIssuer(written());
      const listed = await collect(issuer.issuer.list({}, never));
      expect(listed).toHaveLength(3);
      expect(listed).toEqual(
        expect.arrayContaining([
          { digest: digestToken(used), user: { username: 'a' }, lastUsedAt: new Date(midday) },
          { digest: digestToken(unused), user: { username: 'b' }, lastUsedAt: null },
          { digest: digestToken(invalid), user: { username: 'c' }, lastUsedAt: null },
        ]),
      );
    });

    test('a note that may not be written is reported once, and delays no login', async () => {
      const password = newPassword();
      const grant = (...rights: string[]) =>
        redis
          .client()
          .call(
            'ACL',
            'SETUSER',
            'gateway',
            'reset',
            'on',
            `>${password}`,
            `~${keyPrefix}*`,
            ...lookUpRights(layout),
            ...rights,
          );
      await grant();
      await using started = await start({ username: 'gateway', password });
      const tokens = await Promise.all(Array.from({ length: 5 }, () => put({ username: 'ci' })));
      const warnings = () => started.lines.filter(({ level }) => level === 'warn');
      const ask = async () => {
        for (const token of tokens)
          expect(await started.ask(token)).toMatchObject({ kind: 'authenticated' });
      };
      await ask();
      await waitFor(() => warnings().length > 0, 'a warning');
      await ask();
      expect(warnings()).toEqual([
        {
          level: 'warn',
          fields: { problem: expect.stringContaining('the user is not allowed to do this (SET)') },
          message: "can't note the last use of tokens (trackLastUse)",
        },
      ]);
      // A failed note is written at the next use, and a new problem is reported again.
      await grant('+set');
      await ask();
      for (const token of tokens) await untilNoted(token);
      await grant();
      await started.ask(await put({ username: 'ci' }));
      await waitFor(() => warnings().length === 2, 'another warning');
      await redis.client().call('ACL', 'DELUSER', 'gateway');
    });

    test('without it the gateway writes nothing, and no use is listed', async () => {
      await using started = await startAuthenticator({ url: redis.url, layout });
      const token = await put({ username: 'ci' });
      await forgetCalls(redis);
      await started.ask(token);
      await started.check();
      expect((await commandCalls(redis)).names).toEqual(lookUpCommands(layout));
      await using issuer = await startIssuer({ url: redis.url, layout });
      expect(await collect(issuer.issuer.list({}, never))).toEqual([
        { digest: digestToken(token), user: { username: 'ci' } },
      ]);
    });
  },
);

describe('notes', () => {
  async function noting(interval: number, now: () => number) {
    const { context, traces } = tracedContext();
    const connection = await connect(settled({ url: redis.url }).connection, storeWording, context);
    const noteUse = createUseNotes(
      interval,
      { connection, keys: makeKeys(keyPrefix), now },
      context.logger,
    );
    return { ...traces, connection, noteUse };
  }

  test('are written again after their interval', async () => {
    let time = midday;
    const { noteUse, connection } = await noting(20, () => time++);
    const token = makeToken('sp_');
    await waitFor(async () => {
      noteUse(digestToken(token), undefined);
      return Date.parse((await note(token)) ?? '') >= midday + 3;
    }, 'four notes');
    await connection.close();
  });

  test('delay no caller, and leave no unhandled error', async () => {
    await using own = await startRedis();
    const { context, traces } = tracedContext();
    const connection = await connect(
      settled({ url: own.url, commandTimeout: '50ms' }).connection,
      storeWording,
      context,
    );
    const store = { connection, keys: makeKeys(keyPrefix), now: () => midday };
    const noteUse = createUseNotes(10_000, store, context.logger);
    await own.hang();
    for (let count = 0; count < 3; count += 1)
      expect(noteUse(`${count}`, midday - 1)).toBeUndefined();
    await waitFor(
      () => traces.lines.some(({ message }) => message.includes('trackLastUse')),
      'a warning',
    );
    await connection.close();
  });

  test('of a token that has expired by then expire immediately', async () => {
    const { noteUse, connection, lines } = await noting(10_000, () => midday);
    const token = makeToken('sp_');
    await forgetCalls(redis);
    noteUse(digestToken(token), midday);
    await waitFor(async () => (await commandCalls(redis)).of('set') === 1, 'a note');
    await waitFor(async () => (await note(token)) === null, 'the note to go');
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([]);
    await connection.close();
  });
});
