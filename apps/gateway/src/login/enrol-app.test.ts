import { AuthenticatorError, type Decision } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import { redisOfFile } from '../engine/shared-redis/testing/redis-of-file.ts';
import { clockOfToday, factorLogin, loginWith } from '../testing/factor-login.ts';
import {
  enrolled,
  type FactorPartsOptions,
  factorParts,
  jane,
  max,
  type TestedParts,
} from './factors/testing/factor-parts.ts';
import { computeCode, stepAt } from './factors/totp.ts';

const file = redisOfFile();
const clock = clockOfToday();
const parts = (options: FactorPartsOptions = {}) => factorParts(file.opened.redis, clock, options);

/** The code of an app whose enrolment was begun. */
function codeFor({ apps }: TestedParts, enrolment: unknown, steps = 0): string {
  const secret = apps.read(String(enrolment))?.secret ?? '';
  return computeCode(Buffer.from(secret, 'base64url'), stepAt(clock.now) + steps);
}

describe('adding an authenticator app at a terminal', () => {
  test('takes the password and an invitation, and then the first code', async () => {
    const one = parts();
    const login = loginWith(one);
    const invitation = await one.invite();
    const begun = await login.begin({ invitation, label: 'phone' });
    expect(begun).toMatchObject({
      status: 200,
      body: { secret: expect.stringMatching(/^[A-Z2-7]{32}$/), uri: expect.any(String) },
      facts: { username: 'corp:jane', authenticator: 'corp' },
    });
    expect(begun.body.expiresAt).toEqual(new Date(clock.now + 600_000));
    const { enrolment } = begun.body;
    const finished = await login.finish({ enrolment, code: codeFor(one, enrolment) });
    expect(finished).toMatchObject({
      status: 201,
      body: { factor: { method: 'totp', name: 'phone' } },
      facts: { action: 'add-factor', factor: 'totp', invitedBy: 'root', username: 'corp:jane' },
    });
    expect(finished.body.recoveryCodes).toHaveLength(10);
    // Nothing of it gives a session.
    expect(login.issued).toEqual([]);
    expect(await login.logIn({ code: codeFor(one, enrolment) })).toMatchObject({ status: 401 });
    expect(await login.logIn({ code: codeFor(one, enrolment, 1) })).toMatchObject({ status: 201 });
  });

  test('takes the code of a factor that the user has, once', async () => {
    const one = parts();
    const login = loginWith(one);
    const app = await enrolled(one, clock);
    const code = app.code();
    const begun = await login.begin({ code });
    expect(begun.status).toBe(200);
    expect(await login.begin({ code })).toMatchObject({
      status: 401,
      body: { code: 'wrong-credentials' },
    });
    expect(await login.logIn({ code })).toMatchObject({ status: 401 });
    const { enrolment } = begun.body;
    const finished = await login.finish({ enrolment, code: codeFor(one, enrolment) });
    expect(finished).toMatchObject({
      status: 201,
      body: { factor: { name: 'authenticator app' } },
    });
    // The recovery codes of the first app stay valid.
    expect(finished.body).not.toHaveProperty('recoveryCodes');
    expect(finished.facts.invitedBy).toBeUndefined();
  });

  test('is not begun with the password alone', async () => {
    const one = parts();
    const login = loginWith(one);
    const required = {
      status: 401,
      body: { code: 'invitation-required' },
      isGuess: false,
      facts: { reason: 'second-factor-required' },
    };
    expect(await login.begin()).toMatchObject(required);
    expect(await login.begin({ code: '123456' })).toMatchObject(required);
    await one.invite();
    expect(await login.begin()).toMatchObject(required);
    await enrolled(one, clock);
    expect(await login.begin()).toMatchObject({
      status: 401,
      body: { code: 'second-factor-required', methods: ['totp'] },
      isGuess: false,
      facts: { reason: 'second-factor-required' },
    });
  });

  test('is not begun with an invitation that is wrong, used, of another user, or without the password', async () => {
    const one = parts();
    const login = loginWith(one);
    const invitation = await one.invite();
    const ofOther = await one.invite(max);
    const wrong = { status: 401, body: { code: 'wrong-invitation' }, isGuess: true };
    for (const given of ['x', ofOther, `${invitation}a`])
      expect(await login.begin({ invitation: given })).toMatchObject(wrong);
    expect(await login.begin({ invitation, password: 'wrong' })).toMatchObject({
      status: 401,
      body: { code: 'wrong-credentials' },
    });
    const begun = [await login.begin({ invitation }), await login.begin({ invitation })];
    const [first, second] = begun.map(({ body }) => body.enrolment);
    const code = codeFor(one, first);
    expect(await login.finish({ enrolment: first, code })).toMatchObject({ status: 201 });
    expect(await login.begin({ invitation })).toMatchObject(wrong);
    expect(await login.finish({ enrolment: second, code: codeFor(one, second) })).toMatchObject({
      status: 409,
      body: { code: 'enrolment-ended' },
      facts: { reason: 'ended' },
    });
  });

  test('can be tried again after a wrong code, which says whether the clock is off', async () => {
    const one = parts();
    const login = loginWith(one);
    const { enrolment } = (await login.begin({ invitation: await one.invite() })).body;
    const wrong = { status: 401, body: { code: 'wrong-code' }, facts: { reason: 'wrong-code' } };
    const answer = await login.finish({ enrolment, code: codeFor(one, enrolment, 20) });
    expect(answer).toMatchObject(wrong);
    expect(answer.body.message).toContain('is about 10m ahead of');
    const near = await login.finish({ enrolment, code: codeFor(one, enrolment, 2) });
    expect(near.body.message).toContain('is about 1m ahead of');
    const behind = await login.finish({ enrolment, code: codeFor(one, enrolment, -20) });
    expect(behind.body.message).toContain('is about 10m behind');
    expect(await login.finish({ enrolment, code: 'x' })).toMatchObject(wrong);
    expect(await login.finish({ enrolment, code: codeFor(one, enrolment) })).toMatchObject({
      status: 201,
    });
    for (const text of ['x', '{}'])
      expect(await login.finish({ enrolment: text, code: '123456' })).toMatchObject({
        status: 409,
        body: { code: 'enrolment-ended' },
      });
  });

  test('counts as a login once more than the password is right', async () => {
    const one = parts();
    const app = await enrolled(one, clock);
    const login = loginWith(one, { logins: 1 });
    for (const status of [401, 429]) expect(await login.begin()).toMatchObject({ status });
    expect(await login.begin({ code: app.code() })).toMatchObject({ status: 200 });
    expect(await login.begin({ code: app.code(1) })).toMatchObject({ status: 429 });
  });

  test.each([
    { action: 'revoke', kind: 'user', name: 'corp:jane', reason: 'revoked' },
    { action: 'revoke', kind: 'all', name: '', reason: 'revoked' },
    { action: 'block', kind: 'user', name: 'corp:jane', reason: 'blocked' },
    { action: 'block', kind: 'group', name: 'corp:dev', reason: 'blocked' },
  ] as const)('is refused after a $action of $kind "$name" since it was begun', async (entry) => {
    const { action, kind, name, reason } = entry;
    const one = parts();
    const login = loginWith(one, { groups: ['corp:dev'] });
    const publish = (revision: number) => {
      const times = { at: clock.now, until: clock.now + 60_000, keptUntil: clock.now + 60_000 };
      const id = String(revision);
      one.list.merge([{ id, action, kind, name, revision, ...times, by: 'root' }]);
    };
    if (action === 'revoke') publish(1);
    const { enrolment } = (await login.begin({ invitation: await one.invite() })).body;
    publish(2);
    const finish = { enrolment, code: codeFor(one, enrolment) };
    expect(await login.finish(finish)).toMatchObject({
      status: 409,
      body: { code: 'enrolment-ended' },
      facts: { reason },
    });
    expect((await one.store.read(jane))?.totp).toEqual([]);
  });

  test.each<{ name: string; today: (() => Decision) | undefined; reason: string }>([
    {
      name: 'is disabled',
      today: () => ({ kind: 'rejected', reason: 'disabled' }),
      reason: 'disabled',
    },
    {
      name: 'is another user',
      today: () => ({ kind: 'authenticated', user: { username: 'corp:max' } }),
      reason: 'unknown-user',
    },
    { name: 'can not log in any more', today: undefined, reason: 'unknown-user' },
  ])('is refused to a user who $name since it was begun', async ({ today, reason }) => {
    const one = parts();
    const { enrolment } = (await loginWith(one).begin({ invitation: await one.invite() })).body;
    const finish = { enrolment, code: codeFor(one, enrolment) };
    expect(await loginWith(one, { today }).finish(finish)).toMatchObject({
      status: 409,
      body: { code: 'enrolment-ended' },
      facts: { reason },
    });
    expect((await one.store.read(jane))?.totp).toEqual([]);
  });

  test('is refused while the directory can not be asked about the user, and can be sent again', async () => {
    const one = parts();
    const { enrolment } = (await loginWith(one).begin({ invitation: await one.invite() })).body;
    const finish = { enrolment, code: codeFor(one, enrolment) };
    const today = () => {
      throw new AuthenticatorError('unavailable', 'the directory is down');
    };
    const down = loginWith(one, { today });
    expect(await down.finish(finish)).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    // It is no failure of the Redis of second factors, whose line has another message.
    expect(down.lines).toEqual([
      expect.stringMatching(/corp.*the directory is down.*authenticator could not check a login/),
    ]);
    expect(await loginWith(one).finish(finish)).toMatchObject({ status: 201 });
  });

  test('asks no directory once the time to type the first code is over', async () => {
    const clock = clockOfToday();
    const one = factorParts(file.opened.redis, clock);
    const { enrolment } = (await loginWith(one).begin({ invitation: await one.invite() })).body;
    const code = codeFor(one, enrolment);
    clock.now += 600_000;
    const today = () => {
      throw new AuthenticatorError('unavailable', 'the directory was asked');
    };
    expect(await loginWith(one, { today }).finish({ enrolment, code })).toMatchObject({
      status: 409,
      body: { code: 'enrolment-ended' },
      facts: { reason: 'late' },
    });
  });

  test('is taken back if its user was revoked while it was stored, with the recovery codes', async () => {
    const one = parts();
    const { enrolment } = (await loginWith(one).begin({ invitation: await one.invite() })).body;
    let isRevoked = false;
    const revocations = {
      ...one.ends.revocations,
      async refresh() {
        isRevoked = true;
      },
      isRevoked: () => isRevoked,
    };
    const finish = { enrolment, code: codeFor(one, enrolment) };
    const answer = await loginWith(one, { ends: { ...one.ends, revocations } }).finish(finish);
    expect(answer).toMatchObject({ status: 409, facts: { reason: 'revoked' } });
    // Redis removes a record without a factor after a millisecond.
    const { totp = [], recovery = [] } = (await one.store.read(jane)) ?? {};
    expect({ totp, recovery }).toEqual({ totp: [], recovery: [] });
  });

  test('is refused while it is not known who is blocked', async () => {
    const one = parts();
    const { enrolment } = (await loginWith(one).begin({ invitation: await one.invite() })).body;
    const { ends } = one;
    const unknown = loginWith(one, {
      ends: { ...ends, blocks: { ...ends.blocks, isUnknown: true } },
    });
    const finish = { enrolment, code: codeFor(one, enrolment) };
    expect(await unknown.finish(finish)).toMatchObject({ status: 503 });
  });

  test('is refused for an app that was added before', async () => {
    const one = parts();
    const login = loginWith(one);
    const app = await enrolled(one, clock);
    const { enrolment } = (await login.begin({ code: app.code() })).body;
    const finish = { enrolment, code: codeFor(one, enrolment) };
    expect(await login.finish(finish)).toMatchObject({ status: 201 });
    expect(await login.finish(finish)).toMatchObject({
      status: 409,
      body: { code: 'duplicate-factor' },
      facts: { reason: 'duplicate' },
    });
  });

  test('is refused for the fourth app', async () => {
    const one = parts();
    const login = loginWith(one);
    for (let count = 0; count < 3; count += 1) await enrolled(one, clock);
    const { enrolment } = (await login.begin({ invitation: await one.invite() })).body;
    expect(await login.finish({ enrolment, code: codeFor(one, enrolment) })).toMatchObject({
      status: 409,
      body: { code: 'too-many-factors' },
    });
  });

  test('is there for users of this server with the method, and for no others', async () => {
    const none = { status: 404, body: { code: 'no-second-factor' } };
    const passkeys = parts({ methods: ['passkey'] });
    const invitation = await passkeys.invite();
    expect(await loginWith(passkeys).begin({ invitation })).toMatchObject(none);
    expect(await loginWith(passkeys).finish({ enrolment: 'x', code: '1' })).toMatchObject(none);
    const { policy } = passkeys;
    expect(await factorLogin({ factors: undefined, policy }).begin()).toMatchObject(none);
    const uncovered = { ...policy, isCovered: () => false };
    const one = parts();
    const foreign = { ...one, secondFactor: { ...one.secondFactor, policy: uncovered } };
    expect(await loginWith(foreign).begin({ invitation })).toMatchObject(none);
    expect(await loginWith(foreign).begin({ password: 'wrong' })).toMatchObject({
      body: { code: 'wrong-credentials' },
    });
  });

  test('is refused while the store is down, and for a foreign record', async () => {
    const one = parts();
    const invitation = await one.invite();
    const redis = { ...file.opened.redis, askWithin: () => Promise.reject(new Error('down')) };
    const down = loginWith(factorParts(redis, clock));
    for (const body of [{ invitation }, {}, { code: '123456' }])
      expect(await down.begin(body)).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    const begun = await loginWith(one).begin({ invitation });
    const { enrolment } = begun.body;
    const finish = { enrolment, code: codeFor(one, enrolment) };
    expect(await down.finish(finish)).toMatchObject({ status: 503 });
    const [key = ''] = await file.redis.client().keys('*');
    await file.redis.client().set(key, 'garbage');
    // It may be of anyone: an administrator resets it.
    const login = loginWith(one);
    for (const body of [{ invitation }, { code: '123456' }, {}])
      expect(await login.begin(body)).toMatchObject({
        status: 401,
        body: { code: 'second-factor-not-enrolled' },
        facts: { reason: 'second-factor-foreign-record', username: 'corp:jane' },
      });
    expect(login.lines).toHaveLength(3);
    expect(login.lines[0]).toContain('was not written by a gateway with these sealing keys');
    expect(await loginWith(one).finish(finish)).toMatchObject({ status: 503 });
    expect(await one.store.remove(jane)).toBe(true);
  });
});
