import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** RFC 4648, section 6, in lowercase: a double click selects such a code as a whole. */
const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** Makes random characters of five bits each. */
export function randomText(length: number): string {
  return Array.from(randomBytes(length), (byte) => alphabet[byte & 31]).join('');
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
