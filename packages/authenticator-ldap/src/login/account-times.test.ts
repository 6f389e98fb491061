import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { entry } from '../testing/memory-directory.ts';
import { generalizedTime, shadowDay, timeOf, windowsTime } from './account-times.ts';

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
    ...['20311301120000Z', '20310001120000Z', '20310500120000Z', '20310230120000Z', '20310229120000Z'],
    ...['20310501240000Z', '20310501126000Z', '20310501120000+2400', '20310501120000+0060'],
  ])('does not read %s, which would be another day or hour', (text) => {
    expect(generalizedTime(text)).toBeNaN();
  });

  test.each(['', '2031', '20310501120000', '2031-05-01T12:00:00Z', '20310501120000Zx', 'never', '99999999999'])(
    'does not read %j',
    (text) => {
      expect(generalizedTime(text)).toBeNaN();
    },
  );

  test('reads every time in the form in which OpenLDAP writes it', () => {
    const dates = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
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

test('a time that can not be read is an error that quotes no value', () => {
  const bad = entry('cn=x', { accountExpires: ['soon'], pwdEndTime: ['20310501120000Z', '20310501120001Z'] });
  expect(() => timeOf(bad, 'accountExpires', windowsTime)).toThrow('the attribute accountExpires of cn=x is no time');
  expect(() => timeOf(bad, 'accountExpires', windowsTime)).not.toThrow('soon');
  expect(() => timeOf(bad, 'pwdEndTime', generalizedTime)).toThrow('2 values of the attribute pwdEndTime');
  expect(timeOf(bad, 'shadowExpire', shadowDay)).toBeUndefined();
});
