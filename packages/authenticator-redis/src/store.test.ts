import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { makeKeys } from './store.ts';
import { digestToken } from './token.ts';

const digest = 'ab'.repeat(32);

describe('keys', () => {
  const keys = makeKeys('sallyport:token:');

  test('are the prefix and the SHA-256 of the token in hexadecimal, so that other systems can write them', () => {
    // FIPS 180-2, appendix B.1.
    expect(keys.record(digestToken('abc'))).toBe(
      'sallyport:token:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    expect(keys.lastUse(digest)).toBe(`sallyport:token:${digest}:last-use`);
  });

  test('of tokens that differ beyond ASCII differ', () => {
    expect(digestToken('é')).not.toBe(digestToken('e\u0301'));
    expect(digestToken('é')).toBe(
      '4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c',
    );
  });

  test.each([
    keys.lastUse(digest),
    `sallyport:token:${digest.toUpperCase()}`,
    `sallyport:token:${digest.slice(1)}`,
    `sallyport:token:${digest}0`,
    `sallyport:token:${digest.slice(1)}g`,
    `sallyport:token:${digest}\n`,
    `sallyport:token:\n${digest.slice(1)}`,
    'sallyport:token:',
    digest,
    `other:token:${digest}`,
    `SALLYPORT:TOKEN:${digest}`,
    `x:sallyport:token:${digest}`,
  ])('of other data are not keys of tokens: %j', (key) => {
    expect(keys.readDigest(key)).toBeUndefined();
  });

  test('contain the digest, with any prefix', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter, minLength: 1 }), (prefix) => {
        expect(makeKeys(prefix).readDigest(makeKeys(prefix).record(digest))).toBe(digest);
      }),
    );
  });
});

/** stringmatchlen() of Redis' util.c, for patterns that end with a star and have no other that counts. */
function matches(pattern: string, key: string): boolean {
  const literal = pattern.slice(0, -1).replace(/\\(.)/gs, '$1');
  return pattern.endsWith('*') && key.startsWith(literal);
}

test('a pattern takes every character of the prefix literally', () => {
  expect(makeKeys('a*b[c]?\\d:').pattern('ab')).toBe('a\\*b\\[c\\]\\?\\\\d:ab*');
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'*?[]\\^-ab:') }), (prefix) => {
      const pattern = makeKeys(prefix).pattern('ab');
      // Every special character has a backslash before it, except the star at the end.
      expect(pattern.slice(0, -1).replace(/\\./gs, '')).not.toMatch(/[*?[\]\\]/);
      expect(matches(pattern, makeKeys(prefix).record(digest))).toBe(true);
    }),
  );
});
