import { errorOf } from '@sallyport/test-servers/error-of';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { describe, expect, test } from 'vitest';
import { type LayoutName, layouts } from '../layouts.ts';
import { never, startAuthenticator, startIssuer } from '../testing/plugin.ts';
import { keyOf } from '../testing/records.ts';
import { digestToken, isOwnToken } from '../token.ts';

const redis = await redisForFile();

const day = 86_400_000;
const now = Date.UTC(2026, 5, 1);
const issuedBy = 'jane';
const user = {
  username: 'ci',
  uid: '7',
  groups: ['deployers', 'a,b'],
  extra: { team: ['a', 'b'] },
};

describe.each(Object.keys(layouts) as LayoutName[])(
  'a token whose record is stored as %s',
  (layout) => {
    const written = () => ({ url: redis.url, layout });
    const start = () => startIssuer(written(), () => now);

    test('authenticates its user immediately', async () => {
      await using started = await start();
      const expiresAt = new Date(now + day);
      const request = {
        user,
        audiences: ['https://api'],
        notBefore: new Date(now),
        expiresAt,
        issuedBy,
        reason: 'nightly',
      };
      const { token, issued } = await started.issuer.create(request, never);
      expect(isOwnToken(token)).toBe(true);
      expect(issued).toEqual({ ...request, digest: digestToken(token), issuedAt: new Date(now) });
      await using gateway = await startAuthenticator(written(), () => now);
      expect(await gateway.ask(token)).toEqual({
        kind: 'authenticated',
        user,
        audiences: ['https://api'],
        expiresAt,
      });
    });

    test('is not in Redis itself', async () => {
      await using started = await start();
      const { token } = await started.issuer.create({ user: { username: 'ci' }, issuedBy }, never);
      const keys = await redis.client().keys('*');
      expect(keys).toContain(keyOf(token));
      const dumps = await Promise.all(keys.map((key) => redis.client().dumpBuffer(key)));
      for (const text of [...keys, ...dumps.map((dump) => dump.toString('latin1'))]) {
        for (const part of [token, token.slice(3), token.slice(3, 46)])
          expect(text).not.toContain(part);
      }
    });

    test('stays in Redis a day longer than it is valid, and forever if it has no end', async () => {
      await using started = await start();
      const timeToLive = async (expiresAt?: Date) => {
        const request = { user: { username: 'ci' }, issuedBy, ...(expiresAt && { expiresAt }) };
        const { token } = await started.issuer.create(request, never);
        return await redis.client().pttl(keyOf(token));
      };
      for (const lifetime of [1, day, 365 * day]) {
        const left = await timeToLive(new Date(now + lifetime));
        expect(left).toBeLessThanOrEqual(lifetime + day);
        expect(left).toBeGreaterThan(lifetime + day - 60_000);
      }
      expect(await timeToLive()).toBe(-1);
    });

    test('has the record that other systems would write', async () => {
      await using started = await start();
      const { token } = await started.issuer.create(
        { user, expiresAt: new Date(now + day), issuedBy },
        never,
      );
      const fields = {
        ...user,
        expiresAt: '2026-06-02T00:00:00.000Z',
        issuedAt: '2026-06-01T00:00:00.000Z',
        issuedBy: 'jane',
      };
      const key = keyOf(token);
      if (layout === 'json')
        return expect(await redis.client().get(key)).toBe(JSON.stringify(fields));
      expect(await redis.client().hgetall(key)).toEqual({
        ...fields,
        groups: '["deployers","a,b"]',
        extra: '{"team":["a","b"]}',
      });
    });

    test.each([
      { request: { user: { username: '' } }, problem: 'username must not be empty' },
      { request: { user: { username: 'a\uFFFD' } }, problem: 'is not UTF-8' },
      {
        request: {
          user: { username: 'a' },
          notBefore: new Date(now + day),
          expiresAt: new Date(now + day),
        },
        problem: /^notBefore must be/,
      },
      {
        request: { user: { username: 'a' }, expiresAt: new Date(Date.UTC(10_000, 0)) },
        problem: /^expiresAt must be a date and time/,
      },
      {
        request: { user: { username: 'a' }, expiresAt: new Date(now) },
        problem: 'expiresAt is in the past',
      },
      {
        request: { user: { username: 'a' }, reason: 'x'.repeat(65_536) },
        problem: 'is too big: at most 65536 characters are read',
      },
    ])('that would be refused at each use is not created: %#', async ({ request, problem }) => {
      await using started = await start();
      const before = await redis.client().dbsize();
      const { message } = await errorOf(started.issuer.create({ issuedBy, ...request }, never));
      const [, said = ''] = message.split("this token can't be created: ");
      if (typeof problem === 'string') expect(said).toBe(problem);
      else expect(said).toMatch(problem);
      expect(await redis.client().dbsize()).toBe(before);
    });

    test('has the prefix of the options, and is refused where their pattern does not match it', async () => {
      const request = { user: { username: 'ci' }, issuedBy };
      const made = async (keys: Record<string, unknown>) => {
        await using started = await startIssuer({ ...written(), ...keys });
        const { token } = await started.issuer.create(request, never);
        await using gateway = await startAuthenticator({ ...written(), ...keys });
        expect(await gateway.ask(token)).toMatchObject({
          kind: 'authenticated',
          user: { username: 'ci' },
        });
        return token;
      };
      expect(await made({ tokenPrefix: 'robot_' })).toMatch(/^robot_[\w-]{49}$/);
      expect(await made({ tokenPrefix: 'robot_', tokenPattern: 'robot_.{49}' })).toMatch(/^robot_/);
      expect(await made({ tokenPattern: '[A-Za-z0-9_-]+' })).toMatch(/^sp_/);
      const before = await redis.client().dbsize();
      for (const [keys, prefix] of [
        [{ tokenPattern: '[A-Za-z0-9]{40}' }, 'sp_'],
        [{ tokenPrefix: 'robot_', tokenPattern: 'robot_[a-z]+' }, 'robot_'],
        [{ tokenPrefix: 'robot_', tokenPattern: '[\\w-]{49}' }, 'robot_'],
      ] as const) {
        expect((await errorOf(made(keys))).message).toBe(
          'tokens of this authenticator are issued elsewhere: its tokenPattern does not match the tokens of this command, ' +
            `${prefix} and 49 characters of A-Z, a-z, 0-9, - and _`,
        );
      }
      expect(await redis.client().dbsize()).toBe(before);
    });

    test('whose answer was lost may be stored, and the error says so', async () => {
      await using started = await startIssuer({ ...written(), commandTimeout: '100ms' });
      await redis.hang();
      const { message } = await errorOf(
        started.issuer.create({ user: { username: 'ci' }, issuedBy }, never),
      );
      expect(message).toBe(
        `${redis.url}: no answer in time; the record may be stored all the same: then no one has its token, and ` +
          '`token list` shows it',
      );
      await redis.start();
    });
  },
);
