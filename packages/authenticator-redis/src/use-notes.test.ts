import { randomBytes } from 'node:crypto';
import { connect } from '@sallyport/redis-connection';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { commandCalls, forgetCalls } from '@sallyport/test-servers/redis-command-calls';
import { waitUntil } from '@sallyport/test-servers/wait-until';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { lookUpCommands, lookUpRights } from '../fixtures/access-lists.ts';
import { collect, never, startAuthenticator, startIssuer, tracedContext } from '../fixtures/plugin.ts';
import { keyOf, keyPrefix, store, storeToken } from '../fixtures/records.ts';
import { settled } from '../fixtures/written-options.ts';
import { keysOf } from './keys.ts';
import { type LayoutName, layouts } from './record/layouts.ts';
import { digestToken } from './token/digest.ts';
import { makeToken } from './token/format.ts';
import { createUseNotes } from './use-notes.ts';
import { wording } from './wording.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(async () => {
  await redis.client().flushall();
});
afterAll(() => redis?.[Symbol.asyncDispose]());

const day = 86_400_000;
const midday = Date.UTC(2026, 5, 1, 12);
const noteOf = (token: string) => `${keyOf(token)}:last-use`;
const note = (token: string) => redis.client().get(noteOf(token));
const untilNoted = (token: string) => waitUntil(async () => (await note(token)) !== null, 'a use to be noted');

describe.each(Object.keys(layouts) as LayoutName[])('with trackLastUse, and records as %s', (layout) => {
  const written = (changed: object = {}) => ({ url: redis.url, layout, trackLastUse: '10s', ...changed });
  const start = (changed?: object) => startAuthenticator(written(changed), () => midday);
  const put = (record: Record<string, unknown>) => storeToken(redis.client(), layout, record);

  test('a login is noted with its moment, and the note ends with the token', async () => {
    await using started = await start();
    const [short, endless] = [makeToken('sp_'), await put({ username: 'ci' })];
    const expiresAt = new Date(midday + day).toISOString();
    await store(redis.client(), layout, short, { username: 'ci', expiresAt }, 2 * day);
    for (const token of [short, endless]) {
      expect(await started.ask(token)).toMatchObject({ kind: 'authenticated' });
      await untilNoted(token);
      expect(await note(token)).toBe('2026-06-01T12:00:00.000Z');
    }
    for (const [token, kept] of [[short, day] as const, [endless, 400 * day] as const]) {
      const timeToLive = await redis.client().pttl(noteOf(token));
      expect(timeToLive).toBeLessThanOrEqual(kept);
      expect(timeToLive).toBeGreaterThan(kept - 60_000);
    }
  });

  test('many logins with one token in a short time are noted once, those with others by themselves', async () => {
    await using started = await start();
    const tokens = [await put({ username: 'ci' }), await put({ username: 'ci' })];
    await forgetCalls(redis);
    for (let count = 0; count < 20; count += 1) for (const token of tokens) await started.ask(token);
    await Promise.all(Array.from({ length: 20 }, () => started.ask(tokens[0] ?? '')));
    for (const token of tokens) await untilNoted(token);
    expect((await commandCalls(redis)).of('set')).toBe(2);
  });

  test('nothing but a login is noted', async () => {
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
    // Answered after whatever was sent before it.
    const good = await put({ username: 'ci' });
    await started.ask(good);
    await untilNoted(good);
    expect(await redis.client().keys('*:last-use')).toEqual([noteOf(good)]);
  });

  test('the last use is listed: null when there was none, or what stands there is no moment', async () => {
    await using started = await start();
    const [used, unused, strange] = [
      await put({ username: 'a' }),
      await put({ username: 'b' }),
      await put({ username: 'c' }),
    ];
    await started.ask(used);
    await untilNoted(used);
    await redis.client().set(noteOf(strange), 'yesterday');
    await using issuer = await startIssuer(written());
    const listed = await collect(issuer.issuer.list({}, never));
    expect(listed).toHaveLength(3);
    expect(listed).toEqual(
      expect.arrayContaining([
        { digest: digestToken(used), user: { username: 'a' }, lastUsedAt: new Date(midday) },
        { digest: digestToken(unused), user: { username: 'b' }, lastUsedAt: null },
        { digest: digestToken(strange), user: { username: 'c' }, lastUsedAt: null },
      ]),
    );
  });

  test('a note that may not be written is told once, and costs no login anything', async () => {
    const password = randomBytes(18).toString('base64url');
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
      for (const token of tokens) expect(await started.ask(token)).toMatchObject({ kind: 'authenticated' });
    };
    await ask();
    await waitUntil(() => warnings().length > 0, 'a warning');
    await ask();
    expect(warnings()).toEqual([
      {
        level: 'warn',
        fields: { problem: expect.stringContaining('the user may not do this (SET)') },
        message: 'the last use of tokens can not be noted (trackLastUse)',
      },
    ]);
    // What was not noted is noted at the next use, and a new trouble is told anew.
    await grant('+set');
    await ask();
    for (const token of tokens) await untilNoted(token);
    await grant();
    await started.ask(await put({ username: 'ci' }));
    await waitUntil(() => warnings().length === 2, 'another warning');
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
});

describe('notes', () => {
  async function noting(interval: number, now: () => number) {
    const { context, traces } = tracedContext();
    const connection = await connect(settled({ url: redis.url }).connection, wording, context);
    const dependencies = { connection, keys: keysOf(keyPrefix), logger: context.logger, now };
    return { ...traces, connection, noteUse: createUseNotes(interval, dependencies) };
  }

  test('are written anew once their interval is over', async () => {
    let time = midday;
    const { noteUse, connection } = await noting(20, () => time++);
    const token = makeToken('sp_');
    await waitUntil(async () => {
      noteUse(digestToken(token), undefined);
      return Date.parse((await note(token)) ?? '') >= midday + 3;
    }, 'four notes');
    await connection.close();
  });

  test('keep nobody waiting, and leave no error to nobody', async () => {
    await using own = await startRedis();
    const { context, traces } = tracedContext();
    const connection = await connect(settled({ url: own.url, commandTimeout: '50ms' }).connection, wording, context);
    const dependencies = { connection, keys: keysOf(keyPrefix), logger: context.logger, now: () => midday };
    const noteUse = createUseNotes(10_000, dependencies);
    await own.hang();
    for (let count = 0; count < 3; count += 1) expect(noteUse(`${count}`, midday - 1)).toBeUndefined();
    await waitUntil(() => traces.lines.some(({ message }) => message.includes('trackLastUse')), 'a warning');
    await connection.close();
  });

  test('of a token that ended meanwhile are gone in a moment', async () => {
    const { noteUse, connection, lines } = await noting(10_000, () => midday);
    const token = makeToken('sp_');
    await forgetCalls(redis);
    noteUse(digestToken(token), midday);
    await waitUntil(async () => (await commandCalls(redis)).of('set') === 1, 'a note');
    await waitUntil(async () => (await note(token)) === null, 'the note to go');
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([]);
    await connection.close();
  });
});
