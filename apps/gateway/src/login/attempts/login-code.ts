import { randomBytes } from 'node:crypto';
import { writeLetters } from '../secret-text.ts';

/** Crockford's base32 has no letter that looks like a digit, and no U. */
const letters = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const groups = 4;
const groupLength = 4;

/**
 * Makes a code of 80 bits, such as people read it: `XXXX-XXXX-XXXX-XXXX`.
 *
 * A guess names one login, so other codes that are valid do not help it. If someone could send 10,000 guesses a second for the 60s of a
 * code, one of them would be right once in 2 * 10^18 logins; the limits of an address and of all allow far fewer. A right guess
 * without the verifier of the client ends the login.
 */
export function createCode(): string {
  const characters = writeLetters(randomBytes(groups * groupLength), letters);
  return characters.replaceAll(/.{4}(?=.)/g, '$&-');
}

const pattern = new RegExp(`^[${letters}]{${groups * groupLength}}$`);

/** Reads a code as it was typed. @returns its characters without dashes; undefined for what is not a code */
export function readCode(text: string): string | undefined {
  const characters = text
    .replaceAll(/[\s-]/g, '')
    .toUpperCase()
    .replaceAll('O', '0')
    .replaceAll(/[IL]/g, '1');
  return pattern.test(characters) ? characters : undefined;
}
