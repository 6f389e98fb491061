import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** RFC 4648, section 6, in lowercase: a double click selects such a code as a whole. */
const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** Writes five bits of each byte as a character. @param letters 32 characters */
export function writeLetters(bytes: Uint8Array, letters = alphabet): string {
  return Array.from(bytes, (byte) => letters[byte & 31]).join('');
}

/** Makes random characters of five bits each. */
export function randomText(length: number): string {
  return writeLetters(randomBytes(length));
}

/** Returns the digest by which a secret is known in Redis. */
export function secretDigest(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}

/** Compares two texts in a time that says nothing about where they differ. */
export function isEqual(a: string, b: string): boolean {
  const [bytes, second] = [Buffer.from(a), Buffer.from(b)];
  return bytes.length === second.length && timingSafeEqual(bytes, second);
}

/** The maximum number of characters of a code or an invitation as it was typed, with dashes and spaces. */
export const maxTyped = 64;

/** Removes what people type around the characters of a code. */
export function plainCode(code: string): string {
  return code.replaceAll(/[\s-]/g, '').toLowerCase();
}
