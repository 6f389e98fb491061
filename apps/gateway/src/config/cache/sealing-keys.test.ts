import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { wordIssue } from '../messages.ts';
import { keyFix, sealingKeys } from './sealing-keys.ts';

function complaints(keys: unknown): string[] {
  const { error } = sealingKeys.safeParse(keys, { error: wordIssue });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

const key = (bytes = 32) => randomBytes(bytes).toString('base64');

describe('a sealing key', () => {
  test('is named with the command that makes one', () => {
    expect(keyFix).toBe(
      'write { env: SALLYPORT_CACHE_KEY } or { file: secrets/cache-key }, and make a key with: openssl rand -base64 32',
    );
  });

  test.each([32, 33, 34, 64])('has %i bytes, as base64 or base64url, with padding or without', (length) => {
    const bytes = Buffer.concat([Buffer.from([0xfb, 0xff]), randomBytes(length - 2)]);
    const [base64, base64url] = [bytes.toString('base64'), bytes.toString('base64url')];
    const padding = base64.slice(base64url.length);
    const lines = base64.replaceAll(/.{64}/g, '$&\n');
    for (const text of [base64, base64url, base64.slice(0, base64url.length), base64url + padding, lines]) {
      expect(sealingKeys.parse([text])).toEqual([new Uint8Array(bytes)]);
    }
  });

  test.each([
    ['31 bytes', key(31), 'holds 31 bytes: too short a key'],
    ['nothing', '', 'holds 0 bytes: too short a key'],
    ['another sign', `${key().slice(0, 20)}!${key().slice(20)}`, 'holds no base64'],
    ['a space', ` ${key()}`, 'holds no base64'],
    ['hexadecimal digits with a colon', randomBytes(40).toString('hex').replace(/^../, 'ab:'), 'holds no base64'],
    ['two alphabets', `+_${'A'.repeat(42)}`, 'holds no base64'],
    ['a letter too few', 'A'.repeat(45), 'holds no base64'],
    ['bits that are left over', `${'A'.repeat(42)}B=`, 'holds no base64'],
    ['too much padding', `${key()}=`, 'holds no base64'],
    ['a number', 7, 'must be a secret'],
    ['a map', { env: 'A', file: 'B' }, 'must be a secret'],
  ])('is refused with %s, and not quoted', (_name, written, problem) => {
    expect(complaints([key(), written])).toEqual([`1: ${problem}: ${keyFix}`]);
  });

  test('stands there once, in whatever spelling', () => {
    const twice = Buffer.concat([Buffer.from([0xfb]), randomBytes(31)]);
    const keys = [key(), twice.toString('base64'), key(), twice.toString('base64url')];
    expect(complaints(keys)).toEqual(['3: is the key of sealingKeys[1] too: drop one']);
  });
});

describe('sealing keys', () => {
  const example =
    'write [{ env: SALLYPORT_CACHE_KEY } or { file: secrets/cache-key }], and make a key with: openssl rand -base64 32';

  test('are one to eight', () => {
    const keys = Array.from({ length: 9 }, () => key());
    expect(complaints(keys.slice(0, 8))).toEqual([]);
    expect(complaints(keys)).toEqual([`: must have 1 to 8 entries: ${example}`]);
    expect(complaints([])).toEqual([`: must have 1 to 8 entries: ${example}`]);
    expect(complaints(undefined)).toEqual([`: must be a list: ${example}`]);
    expect(complaints({ env: 'A' })).toEqual([`: must be a list: ${example}`]);
  });
});
