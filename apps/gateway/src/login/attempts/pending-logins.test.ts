import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  keyPrefix,
  type OpenedShared,
  openShared,
} from '../../engine/shared-redis/testing/opened-shared-redis.ts';
import { randomText, secretDigest } from '../secret-text.ts';
import { attemptLifetime, idLength, type LoginAttempt } from './attempt.ts';
import { createCode } from './login-code.ts';
import { createPendingLogins, type PendingLogin } from './pending-logins.ts';

let redis: RedisServer;
let opened: OpenedShared;
let other: OpenedShared;
let now = 0;
beforeAll(async () => {
  redis = await startRedis();
  [opened, other] = [
    await openShared(redis, { keys: 'AB' }),
    await openShared(redis, { keys: 'BA' }),
  ];
});
afterAll(async () => {
  await Promise.all([opened, other].map((one) => one[Symbol.asyncDispose]()));
  await redis[Symbol.asyncDispose]();
});
beforeEach(async () => {
  now = Date.parse('2030-01-01T00:00:00Z');
  await redis.client().flushall();
});

const secret = 'of this browser';
type Attempt = Pick<LoginAttempt, 'id' | 'until' | 'manages'>;

const newAttempt = (): Attempt => ({ id: randomText(idLength), until: now + attemptLifetime });
const login: PendingLogin = {
  browser: secretDigest(secret),
  attempt: { challenge: secretDigest('verifier'), cluster: 'prod', device: 'laptop' },
  revision: 7,
  proof: {
    authenticator: 'oidc',
    since: 1,
    login: 'jane',
    backendUser: { username: 'jane', uid: '7' },
    user: {
      username: 'oidc:jane',
      uid: '7',
      groups: ['oidc:dev'],
      extra: { 'example.com/a': ['b'] },
    },
    provider: {
      name: 'okta',
      issuer: 'https://idp.example.com',
      clientId: 'sallyport',
      groups: ['dev'],
      acr: 'x',
      amr: ['otp'],
      authTime: 5,
      credential: { sid: 's' },
    },
  },
};
const keyOf = (id: string) => `${keyPrefix}cache-login:${id}`;
const pending = () => createPendingLogins(opened.redis, () => now);
const replica = () => createPendingLogins(other.redis, () => now);

/** A login that someone has proved, and its attempt. */
async function begun() {
  const attempt = newAttempt();
  expect(await pending().put(attempt, login)).toBe(true);
  return attempt;
}

describe('a login in progress', () => {
  test('is read and changed with the deadline of a command', async () => {
    const limits: (number | undefined)[] = [];
    const askWithin: typeof opened.redis.askWithin = (use, limit, work) => {
      limits.push(limit);
      return opened.redis.askWithin(use, limit, work);
    };
    const watched = createPendingLogins({ ...opened.redis, askWithin }, () => now);
    const attempt = newAttempt();
    await watched.put(attempt, login);
    await watched.read(attempt.id, secret);
    expect(limits).toEqual([undefined, undefined]);
  });

  test('is kept as it was for its browser, on each replica, until the attempt ends', async () => {
    const attempt = await begun();
    expect(await replica().read(attempt.id, secret)).toEqual(login);
    const left = await redis.client().pttl(keyOf(attempt.id));
    expect([left > attemptLifetime - 60_000, left <= attemptLifetime]).toEqual([true, true]);
    expect(await redis.client().dbsize()).toBe(1);
    for (const [id, of] of [
      [attempt.id, 'of another browser'],
      [attempt.id, ''],
      [attempt.id, login.browser],
      [randomText(idLength), secret],
      ['', secret],
    ] as const) {
      expect(await pending().read(id, of)).toBeUndefined();
      expect(await pending().issueCode({ ...attempt, id }, of)).toBeUndefined();
      expect(await pending().cancel(id, of)).toBe(false);
    }
    const code = (await pending().issueCode(attempt, secret)) ?? '';
    expect(await pending().take(attempt.id, code)).toMatchObject(login);
  });

  test('is not kept for an attempt that has ended', async () => {
    const attempt = newAttempt();
    now = attempt.until;
    expect(await pending().put(attempt, login)).toBe(false);
    expect(await pending().hasEnded(attempt.id)).toBe(false);
    expect(await redis.client().dbsize()).toBe(0);
  });

  test('shows nothing of itself in Redis', async () => {
    const attempt = await begun();
    const code = (await pending().issueCode(attempt, secret)) ?? '';
    const stored = (await redis.client().get(keyOf(attempt.id))) ?? '';
    const text = stored + Buffer.from(stored, 'base64').toString('latin1');
    for (const hidden of [
      'jane',
      'prod',
      'laptop',
      login.browser,
      secret,
      code,
      code.replaceAll('-', ''),
    ])
      expect([hidden, text.includes(hidden)]).toEqual([hidden, false]);
  });

  test('is read with each key of the config, and with no other', async () => {
    const attempt = await begun();
    await using foreign = await openShared(redis, { keys: 'C' });
    expect(
      await createPendingLogins(foreign.redis, () => now).read(attempt.id, secret),
    ).toBeUndefined();
    await using old = await openShared(redis, { keys: 'CA' });
    expect(await createPendingLogins(old.redis, () => now).read(attempt.id, secret)).toEqual(login);
  });

  test('is none if someone has written, moved or changed its record', async () => {
    const [attempt, second] = [await begun(), await begun()];
    const code = (await pending().issueCode(attempt, secret)) ?? '';
    const client = redis.client();
    const [key, record] = [keyOf(second.id), (await client.get(keyOf(attempt.id))) ?? ''];
    for (const value of [
      record,
      JSON.stringify(login),
      `${record}A`,
      record.slice(4),
      '',
      'used',
      'x',
    ]) {
      await client.set(key, value);
      expect([value, await pending().read(second.id, secret)]).toEqual([value, undefined]);
      expect([value, await pending().take(second.id, code)]).toEqual([value, undefined]);
    }
    for (const write of [
      () => client.hset(key, 'a', 'b'),
      () => client.rpush(key, 'a'),
      () => client.sadd(key, 'a'),
    ]) {
      await client.del(key);
      await write();
      expect(
        await pending()
          .read(second.id, secret)
          .catch(() => 'error'),
      ).toSatisfy((result) => result === undefined || result === 'error');
      expect(
        await pending()
          .take(second.id, code)
          .catch(() => undefined),
      ).toBeUndefined();
    }
    await client.set(key, 'x'.repeat(512 * 1_024 + 1));
    expect(
      await pending()
        .take(second.id, code)
        .catch(() => undefined),
    ).toBeUndefined();
    expect(await pending().take(attempt.id, code)).toMatchObject(login);
  });
});

describe('a code', () => {
  test('is taken once, whichever of two replicas gets it at the same moment', async () => {
    for (let round = 0; round < 20; round += 1) {
      const attempt = await begun();
      const code = (await pending().issueCode(attempt, secret)) ?? '';
      const all = await Promise.all(
        Array.from({ length: 6 }, (_, at) =>
          (at % 2 === 0 ? pending() : replica()).take(attempt.id, code),
        ),
      );
      expect(all.filter((one) => one !== undefined)).toHaveLength(1);
      expect(await pending().take(attempt.id, code)).toBeUndefined();
    }
  });

  test('is not taken with another code or for another login, which ends nothing', async () => {
    const attempt = await begun();
    expect(await pending().take(attempt.id, createCode())).toBeUndefined();
    expect(await pending().take(attempt.id, '')).toBeUndefined();
    const code = (await pending().issueCode(attempt, secret)) ?? '';
    for (const guess of [createCode(), attempt.id, `${code}0`, code.slice(1), ''])
      expect(await pending().take(attempt.id, guess)).toBeUndefined();
    for (const id of [(await begun()).id, randomText(idLength), `${attempt.id}*`, ''])
      expect(await pending().take(id, code)).toBeUndefined();
    expect(await pending().take(attempt.id, code)).toMatchObject(login);
  });

  test('is valid for a minute, and never longer than its attempt', async () => {
    const [attempt, late] = [await begun(), await begun()];
    const take = async (of: Attempt, from: number, to: number) => {
      now = from;
      const code = (await pending().issueCode(of, secret)) ?? '';
      now = to;
      return pending().take(of.id, code);
    };
    const start = now;
    expect(await take(attempt, start, start + 60_000)).toBeUndefined();
    // The person can get another code.
    expect(await pending().read(attempt.id, secret)).toMatchObject(login);
    expect(await take(attempt, start + 60_000, start + 60_001)).toMatchObject(login);
    expect(await take(late, start, start + 59_999)).toMatchObject(login);
    const last = { ...(await begun()), until: start + 1_000 };
    expect(await take(last, start, start + 1_000)).toBeUndefined();
  });

  test('replaces the one before', async () => {
    const attempt = await begun();
    const first = (await pending().issueCode(attempt, secret)) ?? '';
    const second = (await replica().issueCode(attempt, secret)) ?? '';
    expect(await pending().take(attempt.id, first)).toBeUndefined();
    expect(await pending().take(attempt.id, second)).toMatchObject(login);
  });
});

describe('an attempt that has ended', () => {
  test.each([
    {
      name: 'by its code',
      end: async (attempt: Attempt) =>
        pending().take(attempt.id, (await pending().issueCode(attempt, secret)) ?? ''),
    },
    {
      name: 'by a cancel',
      end: async (attempt: Attempt) => pending().cancel(attempt.id, secret),
    },
  ])('$name begins no more, and leaves a mark until it would have ended', async ({ end }) => {
    const attempt = await begun();
    expect(await replica().hasEnded(attempt.id)).toBe(false);
    expect(await end(attempt)).toBeTruthy();
    expect(await replica().hasEnded(attempt.id)).toBe(true);
    expect(await redis.client().get(keyOf(attempt.id))).toBe('used');
    const left = await redis.client().pttl(keyOf(attempt.id));
    expect([left > 0, left <= attemptLifetime]).toEqual([true, true]);
    expect(await replica().put(attempt, login)).toBe(false);
    expect(await replica().read(attempt.id, secret)).toBeUndefined();
    expect(await replica().issueCode(attempt, secret)).toBeUndefined();
    expect(await replica().cancel(attempt.id, secret)).toBe(false);
    expect(await redis.client().get(keyOf(attempt.id))).toBe('used');
  });

  test('by a cancel leaves no code, whenever another replica confirms it', async () => {
    for (let round = 0; round < 30; round += 1) {
      const attempt = await begun();
      const codes = Array.from({ length: 3 }, () => replica().issueCode(attempt, secret));
      expect(await pending().cancel(attempt.id, secret)).toBe(true);
      for (const code of await Promise.all(codes))
        expect(code && (await pending().take(attempt.id, code))).toBeUndefined();
    }
  });

  test('by a code is not confirmed again by a browser that has read it before', async () => {
    const attempt = await begun();
    const code = (await pending().issueCode(attempt, secret)) ?? '';
    // Both are in progress: the code may be taken between the read and the write of the confirmation.
    const [again, taken] = await Promise.all([
      pending().issueCode(attempt, secret),
      replica().take(attempt.id, code),
    ]);
    const last = again === undefined ? undefined : await pending().take(attempt.id, again);
    expect([taken, last].filter((one) => one !== undefined)).toHaveLength(1);
  });
});

test('without Redis, each call is an error', async () => {
  const attempt = await begun();
  const before = opened.errors.length;
  await redis.stop();
  try {
    for (const call of [
      pending().put(attempt, login),
      pending().hasEnded(attempt.id),
      pending().read(attempt.id, secret),
      pending().issueCode(attempt, secret),
      pending().cancel(attempt.id, secret),
      pending().take(attempt.id, createCode()),
    ])
      await expect(call).rejects.toThrow();
    expect(opened.errors.slice(before)).toEqual(Array(6).fill('login'));
  } finally {
    await redis.start();
    // Both connections come back by themselves, for the other tests.
    const isBack = async () => {
      const calls = [pending(), replica()].map((one) => one.hasEnded(attempt.id));
      return (await Promise.allSettled(calls)).every(({ status }) => status === 'fulfilled');
    };
    await waitFor(isBack, 'Redis to be reached again');
  }
});

describe('a change of a login', () => {
  const withFactor: PendingLogin = { ...login, next: { kind: 'factor' }, challenge: 'once' };
  /** Takes the challenge. */
  const take = ({ challenge, ...rest }: PendingLogin) =>
    challenge === undefined ? undefined : rest;

  test('returns what it was before, and is seen by each replica', async () => {
    const attempt = newAttempt();
    await pending().put(attempt, withFactor);
    expect(await pending().change(attempt.id, secret, take)).toEqual(withFactor);
    const { challenge: _, ...rest } = withFactor;
    expect(await replica().read(attempt.id, secret)).toEqual(rest);
    expect(await redis.client().pttl(keyOf(attempt.id))).toBeGreaterThan(0);
  });

  test('takes something once, however many take it on all replicas', async () => {
    const attempt = newAttempt();
    await pending().put(attempt, withFactor);
    const taken = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 === 0 ? pending() : replica()).change(attempt.id, secret, take),
      ),
    );
    expect(taken.filter((before) => before !== undefined)).toEqual([withFactor]);
  });

  test('decides again if another change comes between', async () => {
    const attempt = newAttempt();
    await pending().put(attempt, withFactor);
    const seen: (string | undefined)[] = [];
    let other: Promise<unknown> | undefined;
    // The second read waits for the other change: Redis has one order of commands for each connection.
    const before = await pending().change(attempt.id, secret, (current) => {
      seen.push(current.challenge);
      other ??= pending().put(attempt, { ...withFactor, challenge: 'twice' });
      return { ...current, challenge: 'mine' };
    });
    await other;
    expect(seen).toEqual(['once', 'twice']);
    expect(before?.challenge).toBe('twice');
    expect((await pending().read(attempt.id, secret))?.challenge).toBe('mine');
  });

  test('is for the browser of the login alone, and not after its end', async () => {
    const attempt = newAttempt();
    await pending().put(attempt, withFactor);
    expect(await pending().change(attempt.id, 'of another', take)).toBeUndefined();
    expect(await pending().read(attempt.id, secret)).toEqual(withFactor);
    await pending().cancel(attempt.id, secret);
    expect(await pending().change(attempt.id, secret, take)).toBeUndefined();
  });
});

describe('the code of a login whose person must do more', () => {
  test.each([
    { name: 'a second factor', next: { kind: 'factor' } },
    { name: 'a change of factors', next: { kind: 'manage', grant: { record: 'r', version: 0 } } },
  ] as const)('is not issued before $name, and not taken if that came later', async ({ next }) => {
    const attempt = newAttempt();
    await pending().put(attempt, { ...login, next });
    expect(await pending().issueCode(attempt, secret)).toBeUndefined();
    await pending().put(attempt, login);
    const code = (await pending().issueCode(attempt, secret)) ?? '';
    await pending().change(attempt.id, secret, (current) => ({ ...current, next }));
    expect(await pending().take(attempt.id, code)).toBeUndefined();
    await pending().change(attempt.id, secret, ({ next: _, ...current }) => current);
    expect(await pending().take(attempt.id, code)).toMatchObject(login);
  });

  test('is not issued for a visit to change factors, whatever its login is', async () => {
    const attempt = { ...newAttempt(), manages: {} };
    // No client has begun it, so there is no challenge.
    const visit: PendingLogin = { ...login, attempt: { challenge: '' } };
    await pending().put(attempt, visit);
    expect(await pending().read(attempt.id, secret)).toEqual(visit);
    expect(await pending().issueCode(attempt, secret)).toBeUndefined();
  });
});
