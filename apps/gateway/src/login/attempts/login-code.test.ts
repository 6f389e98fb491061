import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createCode, readCode } from './login-code.ts';

describe('a code', () => {
  test('has 19 characters: four groups of letters and digits, of five random bits each', () => {
    const codes = Array.from({ length: 1_000 }, createCode);
    for (const code of codes)
      expect(code).toMatch(/^([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/);
    expect(new Set(codes).size).toBe(1_000);
    expect(new Set(codes.join('').replaceAll('-', '')).size).toBe(32);
  });

  test('is read as people type it', () => {
    const code = createCode();
    const characters = code.replaceAll('-', '');
    for (const typed of [code, characters, code.toLowerCase(), ` ${code.replaceAll('-', ' ')}\n`])
      expect(readCode(typed)).toBe(characters);
    expect(readCode('oOiI-lL01-2345-6789')).toBe('0011110123456789');
  });

  test('that is none is not read', () => {
    const code = createCode();
    for (const other of ['', code.slice(1), `${code}0`, `U${code.slice(1)}`, `*${code.slice(1)}`])
      expect(readCode(other)).toBeUndefined();
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter, maxLength: 40 }), (text) => {
        expect(readCode(text) ?? '0'.repeat(16)).toMatch(/^[0-9A-HJKMNP-TV-Z]{16}$/);
      }),
    );
  });
});
