import { errorOf } from '@sallyport/test-servers/error-of';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { describe, expect, test } from 'vitest';
import { type LayoutName, layouts } from './layouts.ts';
import { never, outcomeOf, startAuthenticator } from './testing/plugin.ts';
import { keyOf, store, storeToken } from './testing/records.ts';
import { digestToken, makeToken } from './token.ts';

const redis = await redisForFile();

const minute = 60_000;
const midday = Date.UTC(2026, 5, 1, 12);
const at = (time: number) => new Date(time).toISOString();

const badRecord = (token: string, problem: string) => ({
  name: 'AuthenticatorError',
  code: 'failed',
  message: `the record of the token with the SHA-256 ${digestToken(token)} is bad: ${problem}`,
});

describe.each(Object.keys(layouts) as LayoutName[])('records as %s', (layout) => {
  const start = (now?: () => number) => startAuthenticator({ url: redis.url, layout }, now);
  const put = (record: Record<string, unknown>) => storeToken(redis.client(), layout, record);

  test('are found by the digest of the token, and never by the token', async () => {
    const user = {
      username: 'röbot 🤖',
      uid: '7',
      groups: ['dev', 'a,b'],
      extra: { 'example.com/team': ['a'] },
    };
    const token = await put({ ...user, audiences: ['https://api'], 'x-owner': 'jane' });
    await using started = await start();
    expect(await started.ask(token)).toEqual({
      kind: 'authenticated',
      user,
      audiences: ['https://api'],
    });
    expect(await redis.client().exists(token, `sallyport:token:${token}`)).toBe(0);
  });

  test('that are unknown are shown to explain, with the mistake in one that Sallyport may have made', async () => {
    await using started = await startAuthenticator({ url: redis.url, layout, tokenPrefix: 'sps_' });
    const stepsOf = async (token: string) => {
      const steps: string[] = [];
      const trace = (step: string) => void steps.push(step);
      await started.authenticator.authenticate(token, { audiences: [], signal: never, trace });
      return steps;
    };
    const token = makeToken('sps_');
    const none = 'Redis has no record of the token';
    expect(await stepsOf(token)).toEqual([none]);
    expect(await stepsOf(token.slice(0, 20))).toEqual([
      expect.stringMatching(
        `^${none}\\. If Sallyport issued it: it begins with sps_, but has 20 characters`,
      ),
    ]);
  });

  test('end at their own end or at that of the key, whichever comes first', async () => {
    await using started = await start(() => midday);
    const end = async (record: object, timeToLive?: number) => {
      const token = makeToken('sp_');
      await store(redis.client(), layout, token, { username: 'robot', ...record }, timeToLive);
      const decision = await started.ask(token);
      return decision.kind === 'authenticated' ? decision.expiresAt?.getTime() : decision;
    };
    expect(await end({})).toBeUndefined();
    expect(await end({ expiresAt: at(midday + minute) })).toBe(midday + minute);
    expect(await end({ expiresAt: at(midday + minute) }, 60 * minute)).toBe(midday + minute);
    for (const record of [{}, { expiresAt: at(midday + 120 * minute) }]) {
      const sooner = await end(record, 60 * minute);
      expect(sooner).toBeLessThanOrEqual(midday + 60 * minute);
      expect(sooner).toBeGreaterThan(midday + 59 * minute);
    }
    expect(await end({ expiresAt: at(midday) })).toEqual({
      kind: 'rejected',
      reason: 'expired',
      subject: 'robot',
    });
  });

  test('that end during the lookup are expired, by their own end and by that of the key', async () => {
    const times = [midday, midday + 10 * minute];
    for (const [record, timeToLive] of [
      [{ expiresAt: at(midday + 10 * minute) }],
      [{}, 10 * minute],
    ] as const) {
      const token = makeToken('sp_');
      await store(redis.client(), layout, token, { username: 'robot', ...record }, timeToLive);
      let calls = 0;
      await using started = await start(() => times[calls++] ?? Number.NaN);
      expect(await started.ask(token)).toEqual({
        kind: 'rejected',
        reason: 'expired',
        subject: 'robot',
      });
    }
  });

  test.each([
    {
      record: { username: 'robot', expires: '2031-05-01T00:00:00Z' },
      problem: /^has an unknown field expires: a record has username, /,
    },
    {
      record: { username: 'robot', extra: { Team: ['a'] } },
      problem: /^extra must have lowercase keys$/,
    },
    {
      record: { username: 'robot', expiresAt: 'tomorrow' },
      problem: /^expiresAt must be a date and time with its zone \(RFC 3339\)/,
    },
    {
      record: { username: 'robot', 'x-': 'x'.repeat(70_000) },
      problem: /^is too big: at most 65536 characters are read$/,
    },
  ])('that are invalid fail with the digest and the field: %#', async ({ record, problem }) => {
    const token = await put(record);
    await using started = await start();
    const error = await errorOf(started.ask(token));
    const [, said = ''] = error.message.split(' is bad: ');
    expect(error).toMatchObject(badRecord(token, said));
    expect(said).toMatch(problem);
    for (const value of [token, 'tomorrow', 'Team', 'xxx'])
      expect(error.message).not.toContain(value);
  });

  test('with a field __proto__ are invalid', async () => {
    const token = makeToken('sp_');
    if (layout === 'hash')
      await redis.client().hset(keyOf(token), 'username', 'robot', '__proto__', 'admin');
    else await redis.client().set(keyOf(token), '{"username":"robot","__proto__":{"uid":"0"}}');
    await using started = await start();
    const error = await errorOf(started.ask(token));
    expect(error).toMatchObject({ code: 'failed' });
    expect(error.message).toContain('is bad: has an unknown field: a record has username,');
  });

  test('with bytes that are not UTF-8 are invalid, since two names could become the same', async () => {
    const token = makeToken('sp_');
    const name = Buffer.from([0x72, 0xff, 0x6f]);
    if (layout === 'hash') await redis.client().hset(keyOf(token), 'username', name);
    else
      await redis
        .client()
        .set(keyOf(token), Buffer.concat([Buffer.from('{"username":"'), name, Buffer.from('"}')]));
    await using started = await start();
    await expect(started.ask(token)).rejects.toMatchObject(
      badRecord(token, layout === 'hash' ? 'username must be UTF-8' : 'is not UTF-8'),
    );
  });

  test('of another type are invalid, and not an outage', async () => {
    const client = redis.client();
    const makers: Record<string, (key: string) => Promise<unknown>> = {
      string: (key) => client.set(key, '{"username":"robot"}'),
      hash: (key) => client.hset(key, 'username', 'robot'),
      list: (key) => client.rpush(key, 'robot'),
      set: (key) => client.sadd(key, 'robot'),
      zset: (key) => client.zadd(key, 1, 'robot'),
      stream: (key) => client.xadd(key, '*', 'username', 'robot'),
    };
    await using started = await start();
    for (const [type, make] of Object.entries(makers).filter(
      ([one]) => one !== layouts[layout].type,
    )) {
      const token = makeToken('sp_');
      await make(keyOf(token));
      const problem = `is not a ${layouts[layout].type}, as layout says`;
      expect([type, await errorOf(started.ask(token))]).toMatchObject([
        type,
        badRecord(token, problem),
      ]);
    }
  });

  test('that are invalid do not disturb valid ones of the same turn, however many there are', async () => {
    await using started = await start();
    const good = await put({ username: 'robot' });
    const bad = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        if (index % 2 === 0) return await put({ username: 'robot', expires: '1' });
        const token = makeToken('sp_');
        await redis.client().rpush(keyOf(token), 'robot');
        return token;
      }),
    );
    const ends = await Promise.all(
      bad.flatMap((token) => [outcomeOf(started.ask(token)), outcomeOf(started.ask(good))]),
    );
    const codes = new Set(ends.filter((_, index) => index % 2 === 0));
    expect(codes).toEqual(new Set(['failed']));
    expect(new Set(ends.filter((_, index) => index % 2 === 1))).toEqual(new Set(['authenticated']));
    for (const token of bad) expect(await outcomeOf(started.ask(token))).toBe('failed');
    expect(await outcomeOf(started.ask(good))).toBe('authenticated');
  });
});
