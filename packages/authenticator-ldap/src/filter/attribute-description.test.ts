import { expect, test } from 'vitest';
import { isAttributeDescription, isObjectIdentifier } from './attribute-description.ts';

test.each([
  'cn',
  'sAMAccountName',
  'mS-DS-ConsistencyGuid',
  '2.5.4.3',
  '0.9.2342.19200300.100.1.1',
  'cn;lang-en',
  'userCertificate;binary;x-1',
])('%s names an attribute', (name) => {
  expect(isAttributeDescription(name)).toBe(true);
});

test.each([
  '',
  ' ',
  'cn ',
  'uid)(x',
  'a_b',
  '1cn',
  '-cn',
  'é',
  '2.5.',
  '2',
  '2.05',
  '01.2',
  'cn;',
  'cn;;x',
  'cn;a b',
  '*',
  '+',
  '1.1',
  'cn\n',
  'a'.repeat(256),
])('%j names no attribute', (name) => {
  expect(isAttributeDescription(name)).toBe(false);
});

test('an object identifier has no options, and may be 1.1', () => {
  expect(['caseExactMatch', '1.2.840.113556.1.4.1941', '1.1'].every(isObjectIdentifier)).toBe(true);
  expect(['cn;binary', '', 'a b', '1..2', 'a'.repeat(256)].some(isObjectIdentifier)).toBe(false);
});
