import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSealingKey } from '../../engine/sealing/seal.ts';
import { randomText, secretDigest } from '../secret-text.ts';
import {
  attemptLifetime,
  type BrowserState,
  codeSecretLength,
  createAttemptTexts,
  findLoginSecret,
  formToken,
  idLength,
  idOfCode,
  isFormToken,
  isVerifier,
  type LoginAttempt,
} from './attempt.ts';

const at = Date.parse('2030-01-01T00:00:00Z');
const keyOf = (letter: string, place = '') => createSealingKey(Buffer.alloc(32, letter), place);
const textsOf = (letters: string, now = () => at, place = '') =>
  createAttemptTexts(
    Array.from(letters, (letter) => keyOf(letter, place)),
    now,
  );
const texts = textsOf('A');

/** Any text that JSON and UTF-8 can keep. */
const text = fc.string({ unit: anyCharacter, maxLength: 64 });
const optional = fc.option(text, { nil: undefined });
const attempts: fc.Arbitrary<LoginAttempt> = fc.record({
  id: text,
  until: fc.integer({ min: at + 1, max: at + attemptLifetime }),
  challenge: text,
  address: text,
  port: fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }),
  cluster: optional,
  device: optional,
  username: optional,
  manages: fc.option(fc.record({ invitation: text }, { requiredKeys: [] }), { nil: undefined }),
  key: optional,
});
const attempt: LoginAttempt = {
  id: randomText(idLength),
  until: at + attemptLifetime,
  challenge: secretDigest('verifier'),
  address: '192.0.2.1',
  port: undefined,
  cluster: 'prod',
  device: undefined,
  username: undefined,
};

describe('an attempt in a URL', () => {
  test('is read as it was written, and its text shows nothing of it', () => {
    fc.assert(
      fc.property(attempts, (one) => {
        const sealed = texts.writeAttempt(one);
        expect(sealed).toMatch(/^[\w-]+$/);
        expect(texts.readAttempt(sealed)).toEqual(one);
        // Two texts of one attempt have nothing in common.
        expect(texts.writeAttempt(one)).not.toBe(sealed);
      }),
    );
    const shown = texts.writeAttempt({ ...attempt, device: 'laptop-of-jane' });
    expect(Buffer.from(shown, 'base64url').toString('latin1')).not.toMatch(/laptop|192\.0|prod/);
  });

  test('is short enough for a line of a terminal and for any browser', () => {
    const long = { cluster: 'c'.repeat(63), device: 'd'.repeat(64), port: 65_535 };
    expect(texts.writeAttempt(attempt).length).toBeLessThan(256);
    expect(texts.writeAttempt({ ...attempt, ...long }).length).toBeLessThan(512);
  });

  test('has one spelling: any other text is refused', () => {
    const sealed = texts.writeAttempt(attempt);
    const bytes = Buffer.from(sealed, 'base64url');
    for (const other of [
      `${sealed}=`,
      `${sealed} `,
      `${sealed}A`,
      sealed.slice(0, -1),
      bytes.toString('base64'),
      bytes.toString('hex'),
      `%${sealed}`,
      '',
    ])
      expect([other === sealed, texts.readAttempt(other)]).toEqual([false, undefined]);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    // Also the last character, of which some bits say nothing.
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.constantFrom(...alphabet), (index, letter) => {
        const other = sealed.slice(0, index) + letter + sealed.slice(index + 1);
        expect(texts.readAttempt(other)).toEqual(other === sealed ? attempt : undefined);
      }),
      { numRuns: 500 },
    );
    for (const letter of alphabet) {
      const other = sealed.slice(0, -1) + letter;
      expect(texts.readAttempt(other)).toEqual(other === sealed ? attempt : undefined);
    }
  });

  test('is read by each key of the config, and by no other key, place or purpose', () => {
    const sealed = texts.writeAttempt(attempt);
    expect(textsOf('BA').readAttempt(sealed)).toEqual(attempt);
    expect(textsOf('A').readAttempt(textsOf('BA').writeAttempt(attempt))).toBeUndefined();
    expect(textsOf('B').readAttempt(sealed)).toBeUndefined();
    expect(textsOf('A', () => at, 'other:').readAttempt(sealed)).toBeUndefined();
    expect(texts.readBrowser('', sealed)).toBeUndefined();
    expect(texts.readAttempt(texts.writeBrowser('', { secret: 'x' }))).toBeUndefined();
    expect(() => textsOf('').writeAttempt(attempt)).toThrow('no key');
  });

  test('is read until its end, and not at its end', () => {
    let now = at;
    const clocked = textsOf('A', () => now);
    const sealed = clocked.writeAttempt(attempt);
    now = attempt.until - 1;
    expect(clocked.readAttempt(sealed)).toEqual(attempt);
    now = attempt.until;
    expect(clocked.readAttempt(sealed)).toBeUndefined();
  });
});

describe('what a browser knows of an attempt', () => {
  const earlier = { provider: 'okta', attempt: 'x', state: 's', nonce: 'n', verifier: 'v' };
  const flow = { ...earlier, revision: 1 };

  test('is read if an earlier version wrote it, and any revocation ends its login', () => {
    const written = { secret: 'one', flow: earlier } as BrowserState;
    expect(texts.readBrowser('id', texts.writeBrowser('id', written))).toEqual({
      secret: 'one',
      flow: { ...earlier, revision: 0 },
    });
  });

  test('is read for this attempt alone', () => {
    fc.assert(
      fc.property(text, text, text, fc.boolean(), (id, other, secret, hasFlow) => {
        const state = hasFlow ? { secret, flow } : { secret, login: other };
        const sealed = texts.writeBrowser(id, state);
        expect(sealed).toMatch(/^[\w-]+$/);
        expect(texts.readBrowser(id, sealed)).toEqual(state);
        if (other !== id) expect(texts.readBrowser(other, sealed)).toBeUndefined();
        expect(textsOf('B').readBrowser(id, sealed)).toBeUndefined();
        expect(texts.readBrowser(id, `${sealed}=`)).toBeUndefined();
      }),
    );
  });

  test('gives its forms a token that no other attempt or browser has', () => {
    const state = { secret: 'one' };
    const token = formToken('id', state);
    expect(isFormToken(token, 'id', { ...state, flow })).toBe(true);
    for (const [given, id, own] of [
      [token, 'other', state],
      [token, 'id', { secret: 'other' }],
      [`${token}A`, 'id', state],
      ['', 'id', state],
    ] as const)
      expect(isFormToken(given, id, own)).toBe(false);
    expect(token).not.toContain(state.secret);
  });

  test('has half of the secret of a login, and the path has the other half', () => {
    const [state, proved] = [{ secret: 'one', login: 'l' }, { key: 'k' }];
    expect(findLoginSecret(proved, state)).toBe('l.k');
    expect(findLoginSecret({}, state)).toBeUndefined();
    expect(findLoginSecret(proved, { login: undefined })).toBeUndefined();
  });
});

describe('a code', () => {
  test('begins with the id of its attempt, and is all in letters that a double click selects', () => {
    for (let count = 0; count < 100; count += 1) {
      const id = randomText(idLength);
      const code = id + randomText(codeSecretLength);
      expect(code).toMatch(/^[a-z2-7]{42}$/);
      expect(idOfCode(code)).toBe(id);
    }
    expect(new Set(Array.from({ length: 1_000 }, () => randomText(idLength))).size).toBe(1_000);
    const letters = new Set(Array.from({ length: 100 }, () => randomText(42)).join(''));
    expect([...letters].sort().join('')).toBe('234567abcdefghijklmnopqrstuvwxyz');
  });

  test('that is none has no id', () => {
    const code = 'a'.repeat(42);
    for (const other of [
      '',
      code.slice(1),
      `${code}a`,
      code.toUpperCase(),
      `${code}\n`,
      `${code.slice(1)}1`,
      `*${code.slice(1)}`,
    ])
      expect(idOfCode(other)).toBeUndefined();
  });
});

test('a verifier fits the challenge that RFC 7636 computes of it', () => {
  // Appendix B.
  const [verifier, challenge] = [
    'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  ];
  expect(isVerifier(verifier, challenge)).toBe(true);
  for (const other of ['', `${verifier}A`, challenge, verifier.toLowerCase()])
    expect(isVerifier(other, challenge)).toBe(false);
});
