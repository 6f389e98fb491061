import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { entry } from '../directory/testing/memory-directory.ts';
import {
  accountAttributes,
  accountText,
  generalizedTime,
  readAccountState,
  shadowDay,
  windowsTime,
} from './account-state.ts';

const now = Date.parse('2031-05-01T12:00:00Z');
const ticks = (milliseconds: number) =>
  String((BigInt(milliseconds) + 11_644_473_600_000n) * 10_000n);
const time = (milliseconds: number) =>
  new Date(milliseconds).toISOString().replace(/[-:T]|\.\d+/g, '');
const second = 1_000;
const day = 86_400_000;

type Values = Readonly<Record<string, string>>;

function stateOf(values: Values, since?: number, lockoutDuration?: number) {
  const attributes = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, [value]]),
  );
  return readAccountState(entry('uid=alice', attributes), {
    now,
    ...(since !== undefined && { since }),
    ...(lockoutDuration !== undefined && { lockoutDuration }),
  });
}
const reason = (values: Values, since?: number) => stateOf(values, since).refusal?.reason;

describe('an account', () => {
  const computed = 'msDS-User-Account-Control-Computed';
  test.each<[string, string | undefined, Values]>([
    ['without a word about it', undefined, {}],
    [
      'a normal one of Active Directory',
      undefined,
      {
        userAccountControl: '512',
        [computed]: '0',
        pwdLastSet: ticks(now - day),
        accountExpires: '0',
        lockoutTime: '0',
      },
    ],
    ['that never expires', undefined, { accountExpires: '9223372036854775807' }],
    ['disabled', 'disabled', { userAccountControl: '514' }],
    ['disabled in AD LDS', 'disabled', { [computed]: '2' }],
    ['that needs a smart card', 'disabled', { userAccountControl: '328192' }],
    ['disabled, of a type with the highest bit', 'disabled', { userAccountControl: '-2147483134' }],
    ['that has expired', 'expired', { accountExpires: ticks(now) }],
    ['that expires later', undefined, { accountExpires: ticks(now + 1) }],
    ['that is locked', 'locked', { [computed]: '16', lockoutTime: ticks(now - day) }],
    ['whose lock has ended', undefined, { [computed]: '0', lockoutTime: ticks(now - day) }],
    ['whose lock may have ended', 'locked', { lockoutTime: ticks(now - day) }],
    ['whose password has expired', 'password-expired', { [computed]: '8388608' }],
    [
      'whose password must be changed',
      'password-expired',
      { userAccountControl: '512', pwdLastSet: '0' },
    ],
    ['whose password never expires', undefined, { userAccountControl: '66048', pwdLastSet: '0' }],
    ['locked by OpenLDAP for ever', 'locked', { pwdAccountLockedTime: '000001010000Z' }],
    ['locked by OpenLDAP some time ago', 'locked', { pwdAccountLockedTime: time(now - day) }],
    ['delayed by OpenLDAP', 'locked', { pwdAccountTmpLockoutEnd: time(now + second) }],
    ['delayed by OpenLDAP before', undefined, { pwdAccountTmpLockoutEnd: time(now) }],
    ['that has not begun', 'disabled', { pwdStartTime: time(now + second) }],
    ['that has begun', undefined, { pwdStartTime: time(now) }],
    ['that has ended', 'expired', { pwdEndTime: time(now) }],
    ['with a password that was reset', 'password-expired', { pwdReset: 'TRUE' }],
    ['with a password that was not', undefined, { pwdReset: 'FALSE' }],
    ['made inactive', 'disabled', { nsAccountLock: 'TRUE' }],
    ['made active', undefined, { nsAccountLock: 'false' }],
    [
      'disabled in OpenDJ',
      'disabled',
      { 'ds-pwp-account-disabled': 'true', pwdChangedTime: time(now - day) },
    ],
    [
      'enabled in OpenDJ',
      undefined,
      { 'ds-pwp-account-disabled': 'false', pwdChangedTime: time(now - day) },
    ],
    ['that has expired in OpenDJ', 'expired', { 'ds-pwp-account-expiration-time': time(now) }],
    ['locked by 389-DS for ever', 'locked', { accountUnlockTime: '19700101000000Z' }],
    ['locked by 389-DS', 'locked', { accountUnlockTime: time(now + second) }],
    ['locked by 389-DS before', undefined, { accountUnlockTime: time(now) }],
    [
      'with an expired password of 389-DS',
      'password-expired',
      { passwordExpirationTime: time(now) },
    ],
    ['whose principal has expired', 'expired', { krbPrincipalExpiration: time(now) }],
    ['whose shadow has expired', 'expired', { shadowExpire: String(now / day - 0.5) }],
    ['whose shadow expires tomorrow', undefined, { shadowExpire: String(now / day + 0.5) }],
    ['whose shadow never expires', undefined, { shadowExpire: '-1' }],
  ])('%s: %s', (_what, expected, values) => {
    expect(reason(values)).toBe(expected);
  });

  test.each([
    ['has ended', time(now - 60_000), undefined],
    ['ends in a second', time(now - 59_000), 'locked'],
    ['is to come, by the clock of the gateway', time(now + second), 'locked'],
    ['has no end', '000001010000Z', 'locked'],
    ['has no end, in seconds', '00000101000000Z', 'locked'],
    ['can not be read', 'soon', 'locked'],
  ])('a lock of OpenLDAP for a minute %s', (_, pwdAccountLockedTime, expected) => {
    expect(stateOf({ pwdAccountLockedTime }, undefined, 60_000).refusal?.reason).toBe(expected);
  });

  test.each(['pwdChangedTime', 'pwdUpdateTime', 'krbLastPwdChange'])(
    '%s is in whole seconds',
    (attribute) => {
      const since = now + 500;
      expect(reason({ [attribute]: time(now) }, since)).toBeUndefined();
      expect(reason({ [attribute]: time(now) }, now)).toBeUndefined();
      expect(reason({ [attribute]: time(now + second) }, since)).toBe('password-changed');
      expect(reason({ [attribute]: time(now) }, now - 1)).toBe('password-changed');
      expect(reason({ [attribute]: time(now + day) })).toBeUndefined();
    },
  );

  test('pwdLastSet is exact, and shadowLastChange is a day', () => {
    expect(reason({ pwdLastSet: ticks(now) }, now)).toBeUndefined();
    expect(reason({ pwdLastSet: ticks(now + 1) }, now)).toBe('password-changed');
    const today = Math.floor(now / day);
    expect(reason({ shadowLastChange: String(today) }, now)).toBeUndefined();
    expect(reason({ shadowLastChange: String(today + 1) }, now)).toBe('password-changed');
  });

  test('pwdLastSet of 0 hides a change of the password, also where that never expires', () => {
    const values = { userAccountControl: '66048', pwdLastSet: '0' };
    expect(reason(values)).toBeUndefined();
    expect(reason(values, now)).toBe('password-expired');
  });

  test.each([
    ['createTimestamp', time],
    ['whenCreated', (moment: number) => time(moment).replace('Z', '.0Z')],
    ['createTimestamp', (moment: number) => new Date(moment).toISOString()],
    [
      'createTimestamp',
      (moment: number) => new Date(moment).toISOString().replace('Z', '000000+00:00'),
    ],
  ] as const)('that was created after the login is another one: %s', (attribute, write) => {
    expect(reason({ [attribute]: write(now) }, now + 500)).toBeUndefined();
    expect(reason({ [attribute]: write(now + second) }, now + 500)).toBe('unknown-user');
    expect(
      reason({ [attribute]: write(now + second), pwdChangedTime: time(now + second) }, now),
    ).toBe('password-changed');
    expect(reason({ [attribute]: write(now + second) })).toBeUndefined();
    expect(stateOf({ [attribute]: write(now) }, now).seen).toEqual([]);
  });

  test('a disabled one is disabled whatever else it is', () => {
    expect(
      reason({ pwdReset: 'TRUE', nsAccountLock: 'true', accountUnlockTime: '19700101000000Z' }),
    ).toBe('disabled');
  });

  test.each(['yes', 'true ', '1'])('a flag of %j is an error', (value) => {
    for (const flag of ['nsAccountLock', 'pwdReset', 'ds-pwp-account-disabled']) {
      expect(() => stateOf({ [flag]: value })).toThrow(
        `the attribute ${flag} of uid=alice is no flag`,
      );
    }
  });

  test.each(accountAttributes)(
    "with a %s that can't be read is an error or locked, and never passes",
    (attribute) => {
      const values = { [attribute]: 'not a value' };
      if (attribute === 'pwdAccountLockedTime') expect(reason(values)).toBe('locked');
      else {
        expect(() => stateOf(values, now)).toThrow(`the attribute ${attribute} of uid=alice is no`);
        expect(() => stateOf(values, now)).not.toThrow('not a value');
      }
    },
  );

  const ofEach = {
    userAccountControl: '512',
    [computed]: '0',
    pwdLastSet: ticks(now),
    accountExpires: '0',
  };
  test.each(Object.keys(ofEach))(
    'of Active Directory that does not show %s hides it',
    (attribute) => {
      expect(stateOf(ofEach).hidden).toEqual([]);
      const { [attribute as keyof typeof ofEach]: _, ...others } = ofEach;
      expect(stateOf(others).hidden).toEqual([attribute]);
      expect(accountText(stateOf(others))).toMatch(
        new RegExp(`; the service account can't read ${attribute}$`),
      );
    },
  );

  test('of another directory shows what it has', () => {
    expect(stateOf({ pwdChangedTime: time(now), shadowExpire: '-1' }).hidden).toEqual([]);
  });

  test('is described for an operator', () => {
    expect(accountText(stateOf({ nsAccountLock: 'true' }))).toBe(
      'account state: disabled, by the attribute nsAccountLock',
    );
    expect(accountText(stateOf({ pwdChangedTime: time(now) }))).toBe(
      'account state: nothing against the user in pwdChangedTime',
    );
    expect(accountText(stateOf({}))).toBe(
      'account state: not known, the entry shows none of its attributes',
    );
  });
});

describe('generalizedTime', () => {
  test.each([
    ['20310501120000Z', '2031-05-01T12:00:00.000Z'],
    ['20310501120000.5Z', '2031-05-01T12:00:00.500Z'],
    ['20310501120000,25Z', '2031-05-01T12:00:00.250Z'],
    ['203105011230Z', '2031-05-01T12:30:00.000Z'],
    ['2031050112Z', '2031-05-01T12:00:00.000Z'],
    ['2031050112.5Z', '2031-05-01T12:30:00.000Z'],
    ['20310501120000+0230', '2031-05-01T09:30:00.000Z'],
    ['20310501120000-02', '2031-05-01T14:00:00.000Z'],
    ['20320229235960Z', '2032-03-01T00:00:00.000Z'],
    ['00010101000000Z', '0001-01-01T00:00:00.000Z'],
  ])('reads %s', (text, expected) => {
    expect(new Date(generalizedTime(text)).toISOString()).toBe(expected);
  });

  test.each([
    ...[
      '20311301120000Z',
      '20310001120000Z',
      '20310500120000Z',
      '20310230120000Z',
      '20310229120000Z',
    ],
    ...['20310501240000Z', '20310501126000Z', '20310501120000+2400', '20310501120000+0060'],
  ])('does not read %s, which would be another day or hour', (text) => {
    expect(generalizedTime(text)).toBeNaN();
  });

  test.each([
    '',
    '2031',
    '20310501120000',
    '2031-05-01T12:00:00Z',
    '20310501120000Zx',
    'never',
    '99999999999',
  ])('does not read %j', (text) => {
    expect(generalizedTime(text)).toBeNaN();
  });

  test('reads every time in the form in which OpenLDAP writes it', () => {
    const dates = fc.date({
      min: new Date('0001-01-01'),
      max: new Date('9999-12-31'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(dates, (date) => {
        const text = date.toISOString().replace(/[-:T]|\.\d+/g, '');
        expect(generalizedTime(text)).toBe(Math.floor(date.getTime() / 1000) * 1000);
      }),
    );
  });
});

describe('windowsTime', () => {
  test('reads ticks, and none', () => {
    expect(windowsTime('116444736000000000')).toBe(0);
    expect(windowsTime('133485408000000000')).toBe(Date.parse('2024-01-01T00:00:00Z'));
    expect(windowsTime('133485408000009999')).toBe(Date.parse('2024-01-01T00:00:00Z'));
    expect(windowsTime('1')).toBeLessThan(0);
    for (const none of ['0', '9223372036854775807']) expect(windowsTime(none)).toBeUndefined();
    for (const text of ['', 'x', '1.5', '20310501120000Z']) expect(windowsTime(text)).toBeNaN();
  });
});

describe('shadowDay', () => {
  test('reads days, and none', () => {
    expect(shadowDay('1')).toBe(86_400_000);
    for (const none of ['0', '-1']) expect(shadowDay(none)).toBeUndefined();
    for (const text of ['', 'x', '1.5', '123456789']) expect(shadowDay(text)).toBeNaN();
  });
});

test("a time that can't be read is an error that quotes no value, and so are two times", () => {
  const bad = (values: Record<string, string[]>) => () =>
    readAccountState(entry('cn=x', values), { now });
  expect(bad({ accountExpires: ['soon'] })).toThrow(
    'the attribute accountExpires of cn=x is no time',
  );
  expect(bad({ accountExpires: ['soon'] })).not.toThrow('soon');
  const twice = ['20310501120000Z', '20310501120001Z'];
  expect(bad({ pwdEndTime: twice })).toThrow('2 values of the attribute pwdEndTime');
});
