import type { AttemptOutcome, Attempts } from '@sallyport/authenticator';
import { beforeEach, describe, expect, test } from 'vitest';
import { createAttempts } from '../../engine/lockout/attempts.ts';
import { keyPrefix, openShared } from '../../engine/shared-redis/testing/opened-shared-redis.ts';
import { redisOfFile } from '../../engine/shared-redis/testing/redis-of-file.ts';
import {
  enrolled,
  type FactorPartsOptions,
  factorParts,
  jane,
  max,
  maxFailures,
  start,
  window,
} from './testing/factor-parts.ts';
import { stepAt } from './totp.ts';

const file = redisOfFile();
const clock = { now: start };
beforeEach(() => {
  clock.now = start;
});
const step = 30_000;
const parts = (options: FactorPartsOptions = {}) => factorParts(file.opened.redis, clock, options);
/** For tests of codes alone: the guard would stop them before. */
const unguarded: Pick<FactorPartsOptions, 'attempts'> = {
  attempts: () => ({ admit: async () => ({ admitted: true, settle: async () => {} }) }),
};

const right = { kind: 'right', method: 'totp' };
const wrong = { kind: 'wrong', reason: 'invalid-credentials' };
const throttled = { kind: 'wrong', reason: 'throttled' };
const locked = { kind: 'wrong', reason: 'locked' };

const removeAll = () => file.redis.client().flushall();
async function keyOfOnly(): Promise<string> {
  const keys = await file.redis.client().keys(`${keyPrefix}factor:*`);
  if (keys[0] === undefined || keys.length > 1) throw new Error('there is not one record');
  return keys[0];
}

describe('what a user needs', () => {
  test('is a factor, once they have one, even if no one must have one', async () => {
    for (const required of ['all', 'none', { groups: ['admins'] }] as const) {
      const one = parts({ required });
      await enrolled(one, clock);
      expect(await one.secondFactor.findNeed(jane, [])).toMatchObject({
        kind: 'factor',
        methods: ['totp'],
        record: { user: jane },
      });
      await removeAll();
    }
  });

  test.each([
    { required: 'all', groups: [], kind: 'refused' },
    { required: 'all', groups: ['dev'], kind: 'refused' },
    { required: 'none', groups: ['admins'], kind: 'nothing' },
    { required: { groups: ['admins', 'ops'] }, groups: ['dev', 'ops'], kind: 'refused' },
    { required: { groups: ['admins', 'ops'] }, groups: ['dev', 'Ops'], kind: 'nothing' },
    { required: { groups: ['admins'] }, groups: [], kind: 'nothing' },
  ] as const)(
    'without one, if $required must have one, in $groups: $kind',
    async ({ required, groups, kind }) => {
      const one = parts({ required });
      const need = kind === 'refused' ? { kind, reason: 'not-enrolled' } : { kind };
      expect(await one.secondFactor.findNeed(jane, groups)).toEqual(need);
      // An invitation is not a factor.
      await one.invite();
      expect(await one.secondFactor.findNeed(jane, groups)).toEqual(need);
    },
  );

  test('is nothing for users of other authenticators, who are not looked up', async () => {
    const one = parts();
    const before = file.opened.calls;
    const user = { ...jane, authenticator: 'other' };
    expect(await one.secondFactor.findNeed(user, [])).toEqual({ kind: 'nothing' });
    expect(file.opened.calls).toBe(before);
  });

  test('is refused for a user whose uid is missing, if each user of the authenticator has one', async () => {
    const { uid: _, ...nameless } = jane;
    const withUids = parts({ required: 'none', haveUids: true });
    await enrolled(withUids, clock);
    const refused = { kind: 'refused', reason: 'no-uid' };
    expect(await withUids.secondFactor.findNeed(nameless, [])).toEqual(refused);
    await withUids.invite(nameless);
    expect(await withUids.secondFactor.findNeed(nameless, [])).toEqual(refused);
    const mixed = parts({ required: 'none' });
    expect(await mixed.secondFactor.findNeed(nameless, [])).toEqual({ kind: 'nothing' });
    await enrolled(withUids, clock, nameless);
    expect(await withUids.secondFactor.findNeed(nameless, [])).toMatchObject({ kind: 'factor' });
  });

  test('is refused for a record that is lost or foreign, and never nothing', async () => {
    const one = parts();
    await enrolled(one, clock);
    const key = await keyOfOnly();
    await file.redis.client().set(key, 'garbage');
    for (const required of ['all', 'none'] as const)
      expect(await parts({ required }).secondFactor.findNeed(jane, [])).toEqual({
        kind: 'refused',
        reason: 'foreign-record',
      });
    await removeAll();
    expect(await one.secondFactor.findNeed(jane, [])).toEqual({
      kind: 'refused',
      reason: 'not-enrolled',
    });
  });

  test('follows the methods of the config: recovery codes are left, and then nothing is', async () => {
    const { recoveryCodes } = await enrolled(parts(), clock);
    const passkeys = parts({ methods: ['passkey'], required: 'none' });
    expect(await passkeys.secondFactor.findNeed(jane, [])).toMatchObject({
      kind: 'factor',
      methods: [],
    });
    expect(await passkeys.check(recoveryCodes[0] ?? '')).toMatchObject({ kind: 'right' });
    await passkeys.store.change(jane, (record) => ({
      record: record && { ...record, recovery: [] },
      result: undefined,
    }));
    expect(await passkeys.secondFactor.findNeed(jane, [])).toEqual({
      kind: 'refused',
      reason: 'not-enrolled',
    });
  });

  test('is not known while the store is down', async () => {
    const down = factorParts(
      { ...file.opened.redis, askWithin: () => Promise.reject(new Error('down')) },
      clock,
      { required: 'none' },
    );
    await expect(down.secondFactor.findNeed(jane, [])).rejects.toThrow('down');
  });
});

describe('a code', () => {
  test('is right once, with what people type around it, and its use is noted', async () => {
    const one = parts();
    const app = await enrolled(one, clock);
    const code = app.code();
    expect(await one.check(` ${code.slice(0, 3)} ${code.slice(3)}-`)).toEqual(right);
    expect(await one.store.read(jane)).toMatchObject({
      totp: [{ lastStep: stepAt(clock.now), usedAt: clock.now }],
      wrongCodes: 0,
    });
    expect(await one.check(code)).toEqual(wrong);
    clock.now += step;
    expect(await one.check(code)).toEqual(wrong);
    expect(await one.check(app.code())).toEqual(right);
  });

  test('is wrong for an earlier step than the last one, although it is near', async () => {
    const one = parts(unguarded);
    const app = await enrolled(one, clock);
    clock.now += 10 * step;
    const [before, present, after] = [app.code(-1), app.code(), app.code(1)];
    expect(await one.check(after)).toEqual(right);
    expect([await one.check(before), await one.check(present)]).toEqual([wrong, wrong]);
    clock.now += step;
    expect(await one.check(app.code())).toEqual(wrong);
    clock.now += step;
    expect(await one.check(app.code())).toEqual(right);
  });

  test('is wrong two steps away, and of a clock that has gone back', async () => {
    const one = parts(unguarded);
    const app = await enrolled(one, clock);
    clock.now += 10 * step;
    for (const [steps, minutes] of [
      [-20, -10],
      [-4, -2],
      [2, 1],
      [20, 10],
    ] as const)
      expect(await one.check(app.code(steps))).toEqual({ ...wrong, minutes });
    expect(await one.check(app.code())).toEqual(right);
    // A code that was used is of this time.
    expect(await one.check(app.code())).toEqual(wrong);
    clock.now -= 5 * step;
    expect(await one.check(app.code())).toEqual(wrong);
  });

  test('is right for one of several replicas that get it at one moment', async () => {
    await using connection = await openShared(file.redis);
    const replicas = [0, 1, 2, 3].map((at) =>
      factorParts(at % 2 ? connection.redis : file.opened.redis, clock, unguarded),
    );
    const app = await enrolled(parts(), clock);
    for (let round = 0; round < 20; round += 1) {
      clock.now += step;
      const results = await Promise.all(replicas.map((one) => one.check(app.code())));
      expect(results.map(({ kind }) => kind).toSorted()).toEqual([
        'right',
        'wrong',
        'wrong',
        'wrong',
      ]);
    }
  });

  test('is one of each of the apps, which do not use up each other', async () => {
    const one = parts();
    const [phone, tablet] = [await enrolled(one, clock), await enrolled(one, clock)];
    expect([await one.check(phone.code()), await one.check(tablet.code())]).toEqual([right, right]);
    expect((await one.store.read(jane))?.totp.map(({ usedAt }) => usedAt)).toEqual([start, start]);
  });

  test('of another user is wrong, and so is any code of a user without a record', async () => {
    const one = parts();
    const app = await enrolled(one, clock);
    await enrolled(one, clock, max, [app.code()]);
    expect(await one.check(app.code(), max)).toEqual(wrong);
    expect(await one.check(app.code(), { ...jane, uid: '8' })).toEqual(wrong);
    expect(await one.check(app.code())).toEqual(right);
  });

  test('is wrong without digits, and if the config allows apps no more', async () => {
    const one = parts(unguarded);
    const app = await enrolled(one, clock);
    // Digits of other scripts, and marks that no one sees, are no spelling of a code.
    const fullWidth = [...app.code()].map((digit) => String.fromCodePoint(0xff10 + Number(digit)));
    const odd = [fullWidth.join(''), `${app.code()}\0`, `\u200b${app.code()}`, `+${app.code()}`];
    for (const code of ['', ' - ', '0', 'x'.repeat(64), ...odd])
      expect(await one.check(code)).toEqual(wrong);
    const passkeys = parts({ ...unguarded, methods: ['passkey'] });
    expect(await passkeys.check(app.code())).toEqual(wrong);
    expect(await one.check(app.code())).toEqual(right);
  });
});

describe('a recovery code', () => {
  test('is right once, as a person writes it, and without the dash', async () => {
    const one = parts();
    const { recoveryCodes } = await enrolled(one, clock);
    expect(recoveryCodes).toHaveLength(10);
    const [first = '', second = '', third = ''] = recoveryCodes;
    expect(first).toMatch(/^[a-z2-7]{5}-[a-z2-7]{5}$/);
    const result = { kind: 'right', method: 'recovery-code' };
    expect(await one.check(first)).toEqual(result);
    expect(await one.check(first)).toEqual(wrong);
    expect(await one.check(` ${second.toUpperCase().replace('-', ' ')} `)).toEqual(result);
    expect(await one.check(second.replace('-', ''))).toEqual(wrong);
    expect(await one.check(third.slice(0, -1))).toEqual(wrong);
    const record = await one.store.read(jane);
    expect([record?.recovery.length, record?.wrongCodes]).toEqual([8, 3]);
    expect(await one.check(third)).toEqual(result);
  });

  test('is right for one of several replicas, and its digest is not a code', async () => {
    const { recoveryCodes } = await enrolled(parts(), clock);
    const replicas = Array.from({ length: 4 }, () => parts(unguarded));
    for (const code of recoveryCodes) {
      const digest = (await parts().store.read(jane))?.recovery[0] ?? '';
      expect(await parts(unguarded).check(digest)).toEqual(wrong);
      const results = await Promise.all(replicas.map((one) => one.check(code)));
      expect(results.filter(({ kind }) => kind === 'right')).toHaveLength(1);
    }
    expect(await parts().store.read(jane)).toMatchObject({ recovery: [] });
  });
});

test('a recovery code of another user is wrong, and stays valid for its own user', async () => {
  const one = parts();
  const [own, others] = [await enrolled(one, clock), await enrolled(one, clock, max)];
  const [code = ''] = others.recoveryCodes;
  expect(await one.check(code)).toEqual(wrong);
  expect(await one.check(own.recoveryCodes[0] ?? '', max)).toEqual(wrong);
  expect(await one.check(code, max)).toEqual({ kind: 'right', method: 'recovery-code' });
});

describe('guesses', () => {
  test('end after maxFailures, for the right code too, until the window has passed', async () => {
    const one = parts();
    const app = await enrolled(one, clock);
    for (let count = 0; count < maxFailures; count += 1)
      expect(await one.check(app.guess())).toEqual(wrong);
    expect([await one.check(app.guess()), await one.check(app.code())]).toEqual([
      throttled,
      throttled,
    ]);
    // A code that was not compared is not counted in the record.
    expect(await one.store.read(jane)).toMatchObject({ wrongCodes: maxFailures });
    // The lockout is of this user's codes alone.
    const other = await enrolled(one, clock, max);
    expect(await one.check(other.code(), max)).toEqual(right);
    clock.now += window;
    expect(await one.check(app.code())).toEqual(right);
    // Who guesses may wait for a right code of the user.
    expect(await one.store.read(jane)).toMatchObject({ wrongCodes: maxFailures });
  });

  test('of one code count once in a step, since a client may repeat itself', async () => {
    const one = parts();
    const app = await enrolled(one, clock);
    const guess = app.guess();
    for (let count = 0; count < 20; count += 1) expect(await one.check(guess)).toEqual(wrong);
    expect(await one.store.read(jane)).toMatchObject({ wrongCodes: 1 });
    clock.now += step;
    expect(await one.check(guess)).toEqual(wrong);
    expect(await one.store.read(jane)).toMatchObject({ wrongCodes: 2 });
  });

  test('do not count as passwords, nor at other authenticators, and end by `unlock`', async () => {
    const attempts = createAttempts(() => ({ maxFailures, window }), { now: () => clock.now });
    const one = parts({ attempts });
    const app = await enrolled(one, clock);
    for (let count = 0; count <= maxFailures; count += 1) await one.check(app.guess());
    expect(attempts.lockedOut('corp')).toBe(1);
    for (const [authenticator, subject] of [
      ['corp', 'jane'],
      ['corp', '7'],
      ['other', '\u0000second factor of ["uid","7"]'],
    ] as const) {
      const admission = await attempts(authenticator).admit(subject, 'hunter2', undefined, 'jane');
      expect(admission.admitted).toBe(true);
      if (admission.admitted) await admission.settle('unavailable');
    }
    expect(await one.check(app.code())).toEqual(throttled);
    attempts.unlock('corp:jane', [
      { name: 'corp', username: { prefix: 'corp:' } } as Parameters<typeof attempts.unlock>[1][0],
    ]);
    expect(await one.check(app.code())).toEqual(right);
  });

  test('of 100 in 30 days lock codes on each replica, also the right ones, until a reset', async () => {
    const one = parts(unguarded);
    const app = await enrolled(one, clock);
    const replica = parts(unguarded);
    const day = 24 * 3_600_000;
    for (let count = 0; count < 99; count += 1) {
      clock.now += day / 4;
      expect(await one.check(app.guess())).toEqual(wrong);
      // The user logs in: that does not help who guesses.
      expect(await replica.check(app.code())).toEqual(right);
    }
    clock.now += day / 4;
    expect(await one.check(app.guess())).toEqual(wrong);
    expect(await replica.check(app.code())).toEqual(locked);
    expect(await replica.check(app.recoveryCodes[0] ?? '')).toEqual(locked);
    expect(await replica.store.read(jane)).toMatchObject({ wrongCodes: 100 });
    await one.store.remove(jane);
    const renewed = await enrolled(one, clock, jane, [app.code()]);
    expect(await replica.check(app.code())).toEqual(wrong);
    expect(await replica.check(renewed.code())).toEqual(right);
  });

  test('count for 30 days after the first one', async () => {
    const one = parts(unguarded);
    const app = await enrolled(one, clock);
    for (let count = 0; count < 100; count += 1)
      expect(await one.check(app.guess())).toEqual(wrong);
    clock.now += 30 * 24 * 3_600_000 - 1;
    expect(await one.check(app.code())).toEqual(locked);
    clock.now += 1;
    expect(await one.check(app.code())).toEqual(right);
    expect(await one.check(app.guess())).toEqual(wrong);
    expect(await one.store.read(jane)).toMatchObject({ wrongCodes: 1, wrongSince: clock.now });
  });

  test('are settled as they were, and as unavailable when the store fails', async () => {
    const outcomes: AttemptOutcome[] = [];
    const admitted: string[][] = [];
    const attempts: Attempts = {
      async admit(subject, secret, _signal, username) {
        admitted.push([subject, username ?? '', secret]);
        return { admitted: true, settle: async (outcome) => void outcomes.push(outcome) };
      },
    };
    const one = parts({ attempts: () => attempts });
    const app = await enrolled(one, clock);
    await one.check(app.guess());
    await one.check(app.code());
    await file.redis.client().set(await keyOfOnly(), 'garbage');
    await expect(one.check(app.code(1))).rejects.toThrow();
    const down = factorParts(
      { ...file.opened.redis, askWithin: () => Promise.reject(new Error('down')) },
      clock,
      { attempts: () => attempts },
    );
    await expect(down.check(app.code(1), max)).rejects.toThrow('down');
    expect(outcomes).toEqual(['refused', 'accepted', 'unavailable', 'unavailable']);
    const subjects = [
      '\u0000second factor of ["uid","7"]',
      '\u0000second factor of ["name","max"]',
    ];
    expect(admitted.map(([subject]) => subject)).toEqual([0, 0, 0, 1].map((at) => subjects[at]));
    expect(admitted.map(([, username]) => username)).toEqual(['jane', 'jane', 'jane', 'max']);
  });

  test('that the guard does not admit are not compared', async () => {
    const attempts: Attempts = { admit: async () => ({ admitted: false, reason: 'throttled' }) };
    const one = parts({ attempts: () => attempts });
    const app = await enrolled(one, clock);
    expect(await one.check(app.code())).toEqual(throttled);
    expect(await parts().check(app.code())).toEqual(right);
  });
});
