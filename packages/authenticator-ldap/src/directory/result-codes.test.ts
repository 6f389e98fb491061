import fc from 'fast-check';
import { expect, test } from 'vitest';
import { classifySearch, isServerOutage, resultCodeName } from './result-codes.ts';

test('codes have the names of RFC 4511', () => {
  const codes = [0, 8, 32, 34, 49, 53, 80];
  const names =
    'success strongerAuthRequired noSuchObject invalidDNSyntax invalidCredentials unwillingToPerform other';
  expect(codes.map(resultCodeName).join(' ')).toBe(names);
});

test('any other number is "other", so that labels are few', () => {
  const codes = [...Array(5000).keys(), -1, 2 ** 31, Number.NaN];
  expect(new Set(codes.map(resultCodeName)).size).toBe(39);
  expect([9, 35, 4096, -1].map(resultCodeName)).toEqual(['other', 'other', 'other', 'other']);
});

test('each result code of a search is an error of the server, a matter of one login, or an answer', () => {
  const by = (outcome: string) =>
    [...Array(300).keys()].filter((code) => classifySearch(code) === outcome);
  expect([by('ok'), by('size-limit'), by('not-found'), by('no-such-object')]).toEqual([
    [0],
    [4],
    [10],
    [32],
  ]);
  expect(by('failed')).toEqual([3, 11, 18, 21, 34]);
  expect([1, 2, 8, 50, 51, 52, 53, 80, 9, 118].map(classifySearch)).toEqual(
    Array(10).fill('server'),
  );
});

test('whatever number comes, only 0 is ok', () => {
  fc.assert(fc.property(fc.integer(), (code) => (classifySearch(code) === 'ok') === (code === 0)));
});

test('busy and unavailable are outages, and no other code', () => {
  expect([...Array(300).keys()].filter(isServerOutage)).toEqual([51, 52]);
});
