import type { Context } from 'koa';
import { beforeEach, describe, expect, test } from 'vitest';
import { redisOfFile } from '../../engine/shared-redis/testing/redis-of-file.ts';
import { attemptLifetime, idLength } from '../attempts/attempt.ts';
import { createPendingLogins, type PendingLogin } from '../attempts/pending-logins.ts';
import { enrolled, factorParts, jane as userJane } from '../factors/testing/factor-parts.ts';
import { randomText, secretDigest } from '../secret-text.ts';
import { changeNext, findNext, keepChallenge, loginWithNext, takeChallenge } from './next-page.ts';
import type { PageRequest } from './page-request.ts';

const file = redisOfFile();
const state = { secret: 'of this browser', login: 'half' };
const [key, loginSecret] = ['other half', 'half.other half'];
const ofUser = (username: string, next?: PendingLogin['next']): PendingLogin => ({
  browser: secretDigest(loginSecret),
  attempt: { challenge: secretDigest('verifier') },
  revision: 7,
  proof: {
    authenticator: 'corp',
    since: 1,
    login: username,
    backendUser: { username },
    user: { username: `corp:${username}` },
  },
  ...(next && { next }),
});
const jane = ofUser('jane', { kind: 'factor' });
const max = ofUser('max', { kind: 'factor' });
const proven = { ...jane.proof, amr: ['pwd', 'otp', 'mfa'] };

let page: PageRequest;
let location: string | undefined;
beforeEach(() => {
  location = undefined;
  const attempt = {
    id: randomText(idLength),
    until: Date.now() + attemptLifetime,
    challenge: jane.attempt.challenge,
    address: '192.0.2.1',
    key,
  };
  const set = (_: string, value: string) => {
    location = value;
  };
  page = {
    context: { set } as unknown as Context,
    service: { logger: { warn: () => undefined } },
    browser: { pending: createPendingLogins(file.opened.redis, Date.now) },
    attempt,
    path: '/login/x',
    facts: { action: 'page' },
  } as unknown as PageRequest;
});

const put = (login: PendingLogin) => page.browser.pending.put(page.attempt, login);
const read = () => page.browser.pending.read(page.attempt.id, loginSecret);

describe('what a person may do who wants to change their factors', () => {
  const clock = { now: Date.now() };
  /** A visit of jane, by an invitation or without one. */
  const visit = (parts: ReturnType<typeof factorParts>, invitation?: string) => {
    const service = { ...page.service, config: { secondFactor: {} }, factors: parts };
    const manages = { ...(invitation !== undefined && { invitation }) };
    const asked = { ...page, service, attempt: { ...page.attempt, manages } };
    const backendUser = { username: userJane.username, uid: '7' };
    return findNext(asked as unknown as PageRequest, { ...jane.proof, backendUser });
  };

  test('is to do so with an invitation, and else to prove a factor, if they have one', async () => {
    const parts = factorParts(file.opened.redis, clock);
    const invitation = await parts.invite();
    expect(await visit(parts, invitation)).toMatchObject({ kind: 'manage', grant: {} });
    await expect(visit(parts)).rejects.toMatchObject({ code: 'invitation-required' });
    await expect(visit(parts, 'x')).rejects.toMatchObject({ code: 'wrong-invitation' });
    await enrolled(parts, clock);
    expect([await visit(parts), await visit(parts, invitation)]).toEqual([
      { kind: 'factor' },
      { kind: 'factor' },
    ]);
  });

  test('is nothing with a foreign record, as at the terminal', async () => {
    const parts = factorParts(file.opened.redis, clock);
    const invitation = await parts.invite();
    const [key = ''] = await file.redis.client().keys('*factor:*');
    await file.redis.client().set(key, 'garbage');
    await expect(visit(parts, invitation)).rejects.toMatchObject({
      status: 401,
      code: 'second-factor-not-enrolled',
    });
    expect(page.facts.reason).toBe('second-factor-foreign-record');
  });
});

describe('the page of what a person may do next', () => {
  test.each([
    { name: 'nothing yet', login: undefined, own: undefined, elsewhere: '/login/x' },
    { name: 'the question', login: ofUser('jane'), own: undefined, elsewhere: '/login/x/confirm' },
    { name: 'the second factor', login: jane, own: 'factor', elsewhere: undefined },
    {
      name: 'the list',
      login: ofUser('jane', { kind: 'manage', grant: { record: 'r', version: 0 } }),
      own: 'manage',
      elsewhere: '/factors',
    },
  ])('is $name', async ({ login, own, elsewhere }) => {
    if (login !== undefined) await put(login);
    for (const kind of ['factor', 'manage'] as const) {
      location = undefined;
      const found = await loginWithNext(page, state, kind);
      expect(found).toEqual(kind === own ? login : undefined);
      if (kind === own) expect(location).toBeUndefined();
      else expect(location).toContain(elsewhere ?? '/login/x/factor');
    }
  });

  test('is the page of the attempt for a browser that does not know it', async () => {
    await put(jane);
    expect(await loginWithNext(page, undefined, 'factor')).toBeUndefined();
    expect(await loginWithNext(page, { ...state, login: 'another' }, 'factor')).toBeUndefined();
    expect(location).toBe('/login/x');
  });

  test('is the page of the attempt for a path that no proof has led to', async () => {
    await put(jane);
    for (const other of [undefined, 'another half']) {
      const elsewhere = { ...page, attempt: { ...page.attempt, key: other } };
      location = undefined;
      expect(await loginWithNext(elsewhere, state, 'factor')).toBeUndefined();
      expect(location).toBe('/login/x');
      expect(await keepChallenge(elsewhere, state, jane, 'c')).toBe(false);
    }
  });
});

describe('what was proved about a login', () => {
  test('counts for that login', async () => {
    await put(jane);
    expect(await keepChallenge(page, state, jane, 'c')).toBe(true);
    expect(await changeNext(page, state, jane, { proof: proven, next: undefined })).toBe(true);
    expect(await read()).toEqual({ ...ofUser('jane'), proof: proven });
  });

  test('can give the login to the new secret of the browser', async () => {
    await put(jane);
    const change = { proof: proven, next: undefined };
    expect(await changeNext(page, state, jane, change, secretDigest('new'))).toBe(true);
    expect(await read()).toBeUndefined();
    expect(await page.browser.pending.read(page.attempt.id, 'new')).toMatchObject({
      proof: proven,
    });
  });

  test.each([
    { name: 'someone else has logged in', since: max },
    {
      name: 'the same user has logged in again',
      since: { ...jane, proof: { ...jane.proof, since: 2 } },
    },
    { name: 'the person has gone on', since: ofUser('jane') },
  ])('does not count once $name', async ({ since }) => {
    const other = { ...since, challenge: 'c' };
    await put(other);
    expect(await changeNext(page, state, jane, { proof: proven, next: undefined })).toBe(false);
    expect(await keepChallenge(page, state, jane, 'd')).toBe(false);
    expect(await takeChallenge(page, state, jane)).toBeUndefined();
    expect(await read()).toEqual(other);
  });
});

test('a challenge is taken once, however many responses come for it', async () => {
  await put(jane);
  expect(await takeChallenge(page, state, jane)).toBeUndefined();
  await keepChallenge(page, state, jane, 'first');
  await keepChallenge(page, state, jane, 'second');
  const taken = await Promise.all(
    Array.from({ length: 10 }, () => takeChallenge(page, state, jane)),
  );
  expect(taken.filter((one) => one !== undefined)).toEqual(['second']);
});
