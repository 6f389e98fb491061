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
  test.each<{ what: string; expected: string | undefined; values: Values }>([
    { what: 'without a word about it', expected: undefined, values: {} },
    {
      what: 'a normal one of Active Directory',
      expected: undefined,
      values: {
        userAccountControl: '512',
        [computed]: '0',
        pwdLastSet: ticks(now - day),
        accountExpires: '0',
        lockoutTime: '0',
      },
    },
    {
      what: 'that never expires',
      expected: undefined,
      values: { accountExpires: '9223372036854775807' },
    },
    { what: 'disabled', expected: 'disabled', values: { userAccountControl: '514' } },
    { what: 'disabled in AD LDS', expected: 'disabled', values: { [computed]: '2' } },
    {
      what: 'that needs a smart card',
      expected: 'disabled',
      values: { userAccountControl: '328192' },
    },
    {
      what: 'disabled, of a type with the highest bit',
      expected: 'disabled',
      values: { userAccountControl: '-2147483134' },
    },
    { what: 'that has expired', expected: 'expired', values: { accountExpires: ticks(now) } },
    { what: 'that expires later', expected: undefined, values: { accountExpires: ticks(now + 1) } },
    {
      what: 'that is locked',
      expected: 'locked',
      values: { [computed]: '16', lockoutTime: ticks(now - day) },
    },
    {
      what: 'whose lock has ended',
      expected: undefined,
      values: { [computed]: '0', lockoutTime: ticks(now - day) },
    },
    {
      what: 'whose lock may have ended',
      expected: 'locked',
      values: { lockoutTime: ticks(now - day) },
    },
    {
      what: 'whose password has expired',
      expected: 'password-expired',
      values: { [computed]: '8388608' },
    },
    {
      what: 'whose password must be changed',
      expected: 'password-expired',
      values: { userAccountControl: '512', pwdLastSet: '0' },
    },
    {
      what: 'whose password never expires',
      expected: undefined,
      values: { userAccountControl: '66048', pwdLastSet: '0' },
    },
    {
      what: 'locked by OpenLDAP for ever',
      expected: 'locked',
      values: { pwdAccountLockedTime: '000001010000Z' },
    },
    {
      what: 'locked by OpenLDAP some time ago',
      expected: 'locked',
      values: { pwdAccountLockedTime: time(now - day) },
    },
    {
      what: 'delayed by OpenLDAP',
      expected: 'locked',
      values: { pwdAccountTmpLockoutEnd: time(now + second) },
    },
    {
      what: 'delayed by OpenLDAP before',
      expected: undefined,
      values: { pwdAccountTmpLockoutEnd: time(now) },
    },
    {
      what: 'that has not begun',
      expected: 'disabled',
      values: { pwdStartTime: time(now + second) },
    },
    { what: 'that has begun', expected: undefined, values: { pwdStartTime: time(now) } },
    { what: 'that has ended', expected: 'expired', values: { pwdEndTime: time(now) } },
    {
      what: 'with a password that was reset',
      expected: 'password-expired',
      values: { pwdReset: 'TRUE' },
    },
    { what: 'with a password that was not', expected: undefined, values: { pwdReset: 'FALSE' } },
    { what: 'made inactive', expected: 'disabled', values: { nsAccountLock: 'TRUE' } },
    { what: 'made active', expected: undefined, values: { nsAccountLock: 'false' } },
    {
      what: 'disabled in OpenDJ',
      expected: 'disabled',
      values: { 'ds-pwp-account-disabled': 'true', pwdChangedTime: time(now - day) },
    },
    {
      what: 'enabled in OpenDJ',
      expected: undefined,
      values: { 'ds-pwp-account-disabled': 'false', pwdChangedTime: time(now - day) },
    },
    {
      what: 'that has expired in OpenDJ',
      expected: 'expired',
      values: { 'ds-pwp-account-expiration-time': time(now) },
    },
    {
      what: 'locked by 389-DS for ever',
      expected: 'locked',
      values: { accountUnlockTime: '19700101000000Z' },
    },
    {
      what: 'locked by 389-DS',
      expected: 'locked',
      values: { accountUnlockTime: time(now + second) },
    },
    {
      what: 'locked by 389-DS before',
      expected: undefined,
      values: { accountUnlockTime: time(now) },
    },
    {
      what: 'with an expired password of 389-DS',
      expected: 'password-expired',
      values: { passwordExpirationTime: time(now) },
    },
    {
      what: 'whose principal has expired',
      expected: 'expired',
      values: { krbPrincipalExpiration: time(now) },
    },
    {
      what: 'whose shadow has expired',
      expected: 'expired',
      values: { shadowExpire: String(now / day - 0.5) },
    },
    {
      what: 'whose shadow expires tomorrow',
      expected: undefined,
      values: { shadowExpire: String(now / day + 0.5) },
    },
    { what: 'whose shadow never expires', expected: undefined, values: { shadowExpire: '-1' } },
  ])('$what: $expected', ({ expected, values }) => {
    expect(reason(values)).toBe(expected);
  });

  test.each([
    { name: 'has ended', pwdAccountLockedTime: time(now - 60_000), expected: undefined },
    { name: 'ends in a second', pwdAccountLockedTime: time(now - 59_000), expected: 'locked' },
    {
      name: 'is to come, by the clock of the gateway',
      pwdAccountLockedTime: time(now + second),
      expected: 'locked',
    },
    { name: 'has no end', pwdAccountLockedTime: '000001010000Z', expected: 'locked' },
    { name: 'has no end, in seconds', pwdAccountLockedTime: '00000101000000Z', expected: 'locked' },
    { name: 'can not be read', pwdAccountLockedTime: 'soon', expected: 'locked' },
  ])('a lock of OpenLDAP for a minute $name', ({ pwdAccountLockedTime, expected }) => {
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
    { attribute: 'createTimestamp', write: time },
    { attribute: 'whenCreated', write: (moment: number) => time(moment).replace('Z', '.0Z') },
    { attribute: 'createTimestamp', write: (moment: number) => new Date(moment).toISOString() },
    {
      attribute: 'createTimestamp',
      write: (moment: number) => new Date(moment).toISOString().replace('Z', '000000+00:00'),
    },
  ] as const)(
    'that was created after the login is another one: $attribute',
    ({ attribute, write }) => {
      expect(reason({ [attribute]: write(now) }, now + 500)).toBeUndefined();
      expect(reason({ [attribute]: write(now + second) }, now + 500)).toBe('unknown-user');
      expect(
        reason({ [attribute]: write(now + second), pwdChangedTime: time(now + second) }, now),
      ).toBe('password-changed');
      expect(reason({ [attribute]: write(now + second) })).toBeUndefined();
      expect(stateOf({ [attribute]: write(now) }, now).seen).toEqual([]);
    },
  );

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
    { text: '20310501120000Z', expected: '2031-05-01T12:00:00.000Z' },
    { text: '20310501120000.5Z', expected: '2031-05-01T12:00:00.500Z' },
    { text: '20310501120000,25Z', expected: '2031-05-01T12:00:00.250Z' },
    { text: '203105011230Z', expected: '2031-05-01T12:30:00.000Z' },
    { text: '2031050112Z', expected: '2031-05-01T12:00:00.000Z' },
    { text: '2031050112.5Z', expected: '2031-05-01T12:30:00.000Z' },
    { text: '20310501120000+0230', expected: '2031-05-01T09:30:00.000Z' },
    { text: '20310501120000-02', expected: '2031-05-01T14:00:00.000Z' },
    { text: '20320229235960Z', expected: '2032-03-01T00:00:00.000Z' },
    { text: '00010101000000Z', expected: '0001-01-01T00:00:00.000Z' },
  ])('reads $text', ({ text, expected }) => {
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
