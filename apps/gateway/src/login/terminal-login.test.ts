import { describe, expect, test } from 'vitest';
import { keyPrefix } from '../engine/shared-redis/testing/opened-shared-redis.ts';
import { redisOfFile } from '../engine/shared-redis/testing/redis-of-file.ts';
import { clockOfToday, factorLogin, loginWith } from '../testing/factor-login.ts';
import {
  enrolled,
  type FactorPartsOptions,
  factorParts,
  maxFailures,
} from './factors/testing/factor-parts.ts';
import { findOutcome } from './login-facts.ts';

const file = redisOfFile();
const clock = clockOfToday();
const parts = (options: FactorPartsOptions = {}) => factorParts(file.opened.redis, clock, options);

const notEnrolled = { status: 401, body: { code: 'second-factor-not-enrolled' }, isGuess: true };
const sessionOf = (facts: { readonly session?: object | undefined }) => facts.session;

describe('a login at a terminal of a user with a second factor', () => {
  test('asks for the code after the right password alone, which is no guess', async () => {
    const one = parts();
    await enrolled(one, clock);
    const login = loginWith(one);
    expect(await login.logIn()).toMatchObject({
      status: 401,
      body: { code: 'second-factor-required', methods: ['totp'] },
      isGuess: false,
      facts: { reason: 'second-factor-required', username: 'corp:jane', authenticator: 'corp' },
    });
    expect(findOutcome(401, false, 'second-factor-required')).toBe('incomplete');
    for (const body of [{ password: 'wrong' }, { username: 'nobody' }])
      expect(await login.logIn(body)).toMatchObject({
        status: 401,
        body: { code: 'wrong-credentials' },
        isGuess: true,
      });
    expect(login.issued).toEqual([]);
  });

  test('has the code in one request, and the session says how they logged in', async () => {
    const one = parts();
    const app = await enrolled(one, clock);
    const login = loginWith(one);
    const answer = await login.logIn({ code: app.code() });
    expect(answer).toMatchObject({ status: 201, facts: { factor: 'totp', authenticator: 'corp' } });
    expect(sessionOf(answer.facts)).toMatchObject({ amr: ['pwd', 'otp', 'mfa'] });
    const recovery = await login.logIn({ code: app.recoveryCodes[3] });
    expect(recovery).toMatchObject({ status: 201, facts: { factor: 'recovery-code' } });
    expect(sessionOf(recovery.facts)).toMatchObject({ amr: ['pwd', 'otp', 'mfa'] });
  });

  test('answers a wrong password and a wrong code alike, and tells the operator', async () => {
    const one = parts();
    const app = await enrolled(one, clock);
    const login = loginWith(one);
    const wrongCode = await login.logIn({ code: app.guess() });
    const wrongPassword = await login.logIn({ code: app.code(), password: 'wrong' });
    const unknown = await login.logIn({ code: app.code(), username: 'nobody' });
    expect(wrongCode).toMatchObject({ status: 401, body: { code: 'wrong-credentials' } });
    for (const other of [wrongPassword, unknown])
      expect([other.status, other.body, other.isGuess]).toEqual([401, wrongCode.body, true]);
    expect(wrongCode).toMatchObject({
      isGuess: true,
      facts: { reason: 'second-factor-invalid-credentials', username: 'corp:jane' },
    });
    expect(wrongPassword.facts).toMatchObject({ reason: 'invalid-credentials' });
    // A wrong password uses up no code.
    expect(await login.logIn({ code: app.code() })).toMatchObject({ status: 201 });
    expect(await login.logIn({ code: app.code() })).toMatchObject({ body: wrongCode.body });
  });

  test('is refused after too many codes, whatever the code', async () => {
    const one = parts();
    const app = await enrolled(one, clock);
    const login = loginWith(one);
    for (let count = 0; count < maxFailures; count += 1) await login.logIn({ code: app.guess() });
    for (const code of [app.guess(), app.code(), app.recoveryCodes[0]])
      expect(await login.logIn({ code })).toMatchObject({
        status: 401,
        body: { code: 'wrong-credentials' },
        facts: { reason: 'second-factor-throttled' },
      });
    await one.store.change(await userOf(one), (record) => ({
      record: record && { ...record, wrongCodes: 100 },
      result: undefined,
    }));
    const later = loginWith(parts());
    expect(await later.logIn({ code: app.code() })).toMatchObject({
      body: { code: 'wrong-credentials' },
      facts: { reason: 'second-factor-locked' },
    });
    expect([...login.issued, ...later.issued]).toEqual([]);
  });

  test('counts once both are right: passwords alone count apart, for each address', async () => {
    const one = parts();
    const app = await enrolled(one, clock);
    const login = loginWith(one, { logins: 2 });
    const incomplete = { status: 401, body: { code: 'second-factor-required' } };
    const limited = { status: 429, body: { code: 'too-many-requests' } };
    for (const expected of [incomplete, incomplete, limited])
      expect(await login.logIn({}, '2001:db8::1')).toMatchObject(expected);
    // An IPv6 /64 counts as one address.
    expect(await login.logIn({}, '2001:db8::2')).toMatchObject(limited);
    expect(await login.logIn({}, '192.0.2.1')).toMatchObject(incomplete);
    expect(await login.logIn({ code: app.guess() })).toMatchObject({ status: 401 });
    for (const code of [app.code(), app.code(1)])
      expect(await login.logIn({ code })).toMatchObject({ status: 201 });
    expect(await login.logIn({ code: app.recoveryCodes[0] })).toMatchObject(limited);
    expect(login.issued).toHaveLength(2);
  });

  test('needs it if they have one, although others must have one or no one must', async () => {
    for (const required of ['none', { groups: ['admins'] }] as const) {
      const one = parts({ required });
      await enrolled(one, clock);
      expect(await loginWith(one).logIn()).toMatchObject({
        body: { code: 'second-factor-required' },
      });
      await one.store.remove(await userOf(one));
    }
  });
});

describe('a login at a terminal of a user without a second factor', () => {
  test.each([
    { required: 'all', groups: [] },
    { required: { groups: ['admins'] }, groups: ['dev', 'admins'] },
  ] as const)('is refused if $required must have one, in $groups', async ({ required, groups }) => {
    const one = parts({ required });
    const login = loginWith(one, { groups });
    for (const body of [{}, { code: '123456' }])
      expect(await login.logIn(body)).toMatchObject({
        ...notEnrolled,
        facts: { reason: 'second-factor-not-enrolled', username: 'corp:jane' },
      });
    await one.invite();
    expect(await login.logIn()).toMatchObject(notEnrolled);
    expect(await login.logIn({ password: 'wrong' })).toMatchObject({
      body: { code: 'wrong-credentials' },
    });
    expect(login.issued).toEqual([]);
  });

  test.each([
    { required: 'none', groups: ['admins'] },
    { required: { groups: ['admins'] }, groups: ['dev'] },
  ] as const)('is a login if $required must have one, in $groups', async ({ required, groups }) => {
    const login = loginWith(parts({ required }), { groups });
    const answer = await login.logIn();
    expect(answer.status).toBe(201);
    expect(sessionOf(answer.facts)).not.toHaveProperty('amr');
    // A code that no one asked for shows that the user means to have a factor.
    expect(await login.logIn({ code: '123456' })).toMatchObject({
      ...notEnrolled,
      facts: { reason: 'no-second-factor' },
    });
  });

  test('is refused for a foreign record, which is logged, and none of it is shown', async () => {
    const one = parts({ required: 'none' });
    await enrolled(one, clock);
    const [key = ''] = await file.redis.client().keys(`${keyPrefix}factor:*`);
    await file.redis.client().set(key, 'garbage');
    const login = loginWith(one);
    for (const body of [{}, { code: '123456' }])
      expect(await login.logIn(body)).toMatchObject({
        ...notEnrolled,
        facts: { reason: 'second-factor-foreign-record' },
      });
    expect(login.lines).toHaveLength(2);
    expect(login.lines[0]).toContain('was not written by a gateway with these sealing keys');
    expect(login.lines[0]).not.toContain('garbage');
  });
});

describe('a login at a terminal, whatever was found out before', () => {
  test('is no login while the store is down: it says so, and nothing else', async () => {
    for (const required of ['all', 'none'] as const) {
      const redis = { ...file.opened.redis, askWithin: () => Promise.reject(new Error('down')) };
      const login = loginWith(factorParts(redis, clock, { required }));
      for (const body of [{}, { code: '123456' }])
        expect(await login.logIn(body)).toMatchObject({
          status: 503,
          body: { code: 'unavailable' },
          isGuess: true,
        });
      expect(login.lines[0]).toContain('second factor could not be checked');
      expect(login.issued).toEqual([]);
    }
  });

  test('is refused by the policy of the session, if the need of it was forgotten', async () => {
    const one = parts();
    const nothing = { ...one.secondFactor, findNeed: async () => ({ kind: 'nothing' }) as const };
    const login = loginWith({ ...one, secondFactor: nothing });
    expect(await login.logIn()).toMatchObject({
      status: 401,
      body: { code: 'second-factor-required' },
    });
    expect(login.issued).toEqual([]);
  });

  test('fails with a section that has no store, and has no factor without a section', async () => {
    const { policy } = parts({ required: 'none' });
    await expect(
      factorLogin({ factors: undefined, policy, hasSection: true }).logIn(),
    ).rejects.toThrow('has no store');
    const login = factorLogin({ factors: undefined, policy });
    expect(await login.logIn()).toMatchObject({ status: 201 });
    expect(await login.logIn({ code: '123456' })).toMatchObject(notEnrolled);
  });

  test.each([{ code: '' }, { code: 7 }, { code: null }, { code: ['1'] }, { code: 'x'.repeat(65) }])(
    'refuses %j as a code, before any directory is asked',
    async (body) => {
      const one = parts();
      await enrolled(one, clock);
      const before = file.opened.calls;
      expect(await loginWith(one).logIn(body)).toMatchObject({
        status: 400,
        body: { code: 'bad-request' },
      });
      expect(file.opened.calls).toBe(before);
    },
  );
});

/** The user of the only record. */
async function userOf({ store }: ReturnType<typeof parts>) {
  for await (const { record } of store.list()) if (record !== undefined) return record.user;
  throw new Error('there is no record');
}
