import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isEqual, randomText, secretDigest } from './secret-text.ts';

const text = fc.string({ unit: anyCharacter });

test('random characters have five bits each, and differ each time', () => {
  const characters = randomText(10_000);
  expect(characters).toMatch(/^[a-z2-7]{10000}$/);
  expect(new Set(characters).size).toBe(32);
  expect(randomText(16)).not.toBe(randomText(16));
  expect(randomText(0)).toBe('');
});

test('texts are equal if all of their characters are', () => {
  fc.assert(
    fc.property(text, text, (one, other) => {
      expect(isEqual(one, one)).toBe(true);
      expect(isEqual(one, other)).toBe(one === other);
      expect(isEqual(`${one}x`, one)).toBe(false);
    }),
  );
});

test('a digest is SHA-256 in base64url', () => {
  // FIPS 180-2, appendix B.1.
  expect(Buffer.from(secretDigest('abc'), 'base64url').toString('hex')).toBe(
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
});
