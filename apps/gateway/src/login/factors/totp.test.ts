import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  computeCode,
  minutesOff,
  secretLength,
  secretText,
  stepAt,
  stepOfCode,
  totpUri,
} from './totp.ts';

const oathtool = (...words: string[]) => execFileSync('oathtool', words, { encoding: 'utf8' });
/** Valid times: 1970 to 2242. */
const time = fc.integer({ min: 120_000, max: 8_600_000_000_000 });
const secretBytes = fc.uint8Array({ minLength: secretLength, maxLength: secretLength });

describe('a code of an authenticator app', () => {
  // RFC 6238, appendix B, for SHA-1.
  test.each([
    { seconds: 59, code: '94287082' },
    { seconds: 1_111_111_109, code: '07081804' },
    { seconds: 1_111_111_111, code: '14050471' },
    { seconds: 1_234_567_890, code: '89005924' },
    { seconds: 2_000_000_000, code: '69279037' },
    { seconds: 20_000_000_000, code: '65353130' },
  ])('is as in RFC 6238 at $seconds s', ({ seconds, code }) => {
    const secret = Buffer.from('12345678901234567890');
    expect(computeCode(secret, stepAt(seconds * 1000), 8)).toBe(code);
    expect(computeCode(secret, stepAt(seconds * 1000))).toBe(code.slice(2));
  });

  test('is what oathtool shows for the secret as text, at any time', () => {
    fc.assert(
      fc.property(secretBytes, time, (secret, now) => {
        const at = `${new Date(now).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
        const shown = oathtool('--totp', '--base32', secretText(secret), '--now', at).trim();
        expect(computeCode(secret, stepAt(now))).toBe(shown);
      }),
      { numRuns: 25 },
    );
  });

  test('is valid in its step and in the steps next to it, and in no other', () => {
    fc.assert(
      fc.property(secretBytes, time, (secret, now) => {
        const present = stepAt(now);
        const near = [-1, 0, 1].map((steps) => computeCode(secret, present + steps));
        expect(near.map((code) => stepOfCode(secret, code, now))).toEqual(
          near.map((code) =>
            [present, present - 1, present + 1].find((s) => code === computeCode(secret, s)),
          ),
        );
        for (const steps of [-3, -2, 2, 3]) {
          const code = computeCode(secret, present + steps);
          // One code in 333,333 is a code of a near step as well.
          if (!near.includes(code)) expect(stepOfCode(secret, code, now)).toBeUndefined();
        }
      }),
    );
  });

  test('is nothing else than its six digits', () => {
    const [secret, now] = [Buffer.alloc(20, 7), 90_000];
    const code = computeCode(secret, 3);
    expect(stepOfCode(secret, code, now)).toBe(3);
    for (const other of ['', code.slice(1), `0${code}`, `${code} `, `+${code}`, `${code}\0`])
      expect([other, stepOfCode(secret, other, now)]).toEqual([other, undefined]);
    // Digits of other scripts have a value too.
    const wide = Array.from(code, (digit) => String.fromCodePoint(0xff10 + Number(digit))).join('');
    expect(stepOfCode(secret, wide, now)).toBeUndefined();
  });

  test('has no step before 1970, and shows by how many minutes its clock differs', () => {
    const secret = Buffer.alloc(20, 1);
    expect(stepOfCode(secret, computeCode(secret, 0), 0)).toBe(0);
    expect(stepOfCode(secret, computeCode(secret, 1), 0)).toBe(1);
    const now = 200 * 30_000;
    const minutes = [-120, -4, 4, 120].map((steps) =>
      minutesOff(secret, computeCode(secret, 200 + steps), now),
    );
    expect(minutes).toEqual([-60, -2, 2, 60]);
    // The middle of the step counts: 95 s ahead, and 85 s behind.
    const off = [3, -3].map((steps) =>
      minutesOff(secret, computeCode(secret, 200 + steps), now + 10_000),
    );
    expect(off).toEqual([2, -1]);
    expect(minutesOff(secret, computeCode(secret, 321), now)).toBeUndefined();
  });
});

describe('a secret as apps take it', () => {
  // RFC 4648, section 10, without the padding.
  test.each([
    ['', ''],
    ['f', 'MY'],
    ['fo', 'MZXQ'],
    ['foo', 'MZXW6'],
    ['foob', 'MZXW6YQ'],
    ['fooba', 'MZXW6YTB'],
    ['foobar', 'MZXW6YTBOI'],
  ])('%j is %j', (text, base32) => {
    expect(secretText(Buffer.from(text))).toBe(base32);
  });

  test('is in a URI with the names, which contain no character of a URI and no colon', () => {
    const secret = Buffer.from('12345678901234567890');
    const uri = totpUri('login.example.com', 'ou:Jané & Max?#/\uD800', secret);
    const { protocol, host, pathname, searchParams } = new URL(uri);
    expect([protocol, host]).toEqual(['otpauth:', 'totp']);
    expect(decodeURIComponent(pathname)).toBe('/login.example.com:ou Jané & Max?#/\uFFFD');
    expect(pathname.split(':')).toHaveLength(2);
    expect(Object.fromEntries(searchParams)).toEqual({
      secret: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ',
      issuer: 'login.example.com',
    });
  });
});
