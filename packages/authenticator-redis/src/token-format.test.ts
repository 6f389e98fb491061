import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatPattern, isOwnToken, makeToken } from './token.ts';

const tokens = fc.constant(undefined).map(() => makeToken('sp_'));
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Computes CRC-32 bit by bit with the polynomial of RFC 1952 section 8, independently of the code that is tested. */
function crc32(text: string): number {
  let crc = 0xffff_ffff;
  for (const byte of Buffer.from(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

function verifyUnknown(changed: string, token: string): void {
  if (changed !== token) expect(isOwnToken(changed)).toBe(false);
}

describe('a token of ours', () => {
  test('is sp_, 32 random bytes and their checksum: 52 characters that never need quotes', () => {
    fc.assert(
      fc.property(tokens, (token) => {
        expect(token).toMatch(/^sp_[A-Za-z0-9_-]{49}$/);
        expect(token).toMatch(new RegExp(`^${formatPattern}$`));
        expect(Buffer.from(token.slice(3, 46), 'base64url')).toHaveLength(32);
        expect(isOwnToken(token)).toBe(true);
      }),
    );
  });

  test('ends with the big-endian CRC-32 of all before it, in base64url', () => {
    expect(crc32('123456789')).toBe(0xcbf4_3926);
    fc.assert(
      fc.property(tokens, (token) => {
        const [body, checksum] = [token.slice(0, 46), token.slice(46)];
        expect(Buffer.from(checksum, 'base64url').readUInt32BE()).toBe(crc32(body));
        expect(Buffer.from(checksum, 'base64url').toString('base64url')).toBe(checksum);
      }),
    );
  });

  test('differs each time', () => {
    const made = Array.from({ length: 10_000 }, () => makeToken('sp_'));
    expect(new Set(made).size).toBe(made.length);
    // Each position of the random part has every character, except the last one, which holds four bits.
    for (const place of [3, 20, 44])
      expect(new Set(made.map((token) => token[place])).size).toBe(64);
    expect(new Set(made.map((token) => token[45])).size).toBe(16);
  });

  test('has the given prefix, which its checksum covers', () => {
    const token = makeToken('robot_');
    expect(token).toMatch(/^robot_[A-Za-z0-9_-]{49}$/);
    expect(Buffer.from(token.slice(-6), 'base64url').readUInt32BE()).toBe(
      crc32(token.slice(0, -6)),
    );
    expect(isOwnToken(token)).toBe(false);
    expect(isOwnToken(`sp_${token.slice(6)}`)).toBe(false);
  });
});

describe('a damaged token of ours is not recognized', () => {
  test('with any one character changed', () => {
    const token = makeToken('sp_');
    for (let place = 0; place < token.length; place += 1) {
      for (const character of `${alphabet} .=\n\0é`) {
        verifyUnknown(token.slice(0, place) + character + token.slice(place + 1), token);
      }
    }
    fc.assert(
      fc.property(
        tokens,
        fc.nat(51),
        fc.string({ unit: anyCharacter, minLength: 1, maxLength: 1 }),
        (one, place, text) => {
          verifyUnknown(one.slice(0, place) + text + one.slice(place + 1), one);
        },
      ),
    );
  });

  test('with two neighbours swapped', () => {
    fc.assert(
      fc.property(tokens, (token) => {
        for (let place = 0; place < token.length - 1; place += 1) {
          const [one = '', other = ''] = token.slice(place);
          verifyUnknown(token.slice(0, place) + other + one + token.slice(place + 2), token);
        }
      }),
    );
  });

  test('without its end, its beginning, or a part of its middle', () => {
    const token = makeToken('sp_');
    for (let length = 0; length < token.length; length += 1) {
      expect(isOwnToken(token.slice(0, length))).toBe(false);
      expect(isOwnToken(token.slice(token.length - length))).toBe(false);
      expect(isOwnToken(token.slice(0, length) + token.slice(length + 1))).toBe(false);
    }
  });

  test('with more text before it, in it or after it', () => {
    fc.assert(
      fc.property(
        tokens,
        fc.nat(52),
        fc.string({ minLength: 1, maxLength: 60 }),
        (token, place, text) => {
          expect(isOwnToken(token.slice(0, place) + text + token.slice(place))).toBe(false);
        },
      ),
    );
    const token = makeToken('sp_');
    for (const end of ['\n', '\r\n', '\0', ' ', '=', '=='])
      expect(isOwnToken(token + end)).toBe(false);
    expect(isOwnToken(token + token)).toBe(false);
  });

  test('in upper or lower case', () => {
    const token = makeToken('sp_');
    verifyUnknown(token.toUpperCase(), token);
    verifyUnknown(token.toLowerCase(), token);
    expect(isOwnToken(`SP_${token.slice(3)}`)).toBe(false);
    expect(isOwnToken(makeToken('SP_'))).toBe(false);
    expect(isOwnToken(token.replaceAll('-', '+').replaceAll('_', '/'))).toBe(false);
  });

  test('of random characters, one in four thousand million', () => {
    fc.assert(
      fc.property(fc.stringMatching(new RegExp(`^${formatPattern}$`)), (text) => {
        expect(isOwnToken(text)).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });
});
