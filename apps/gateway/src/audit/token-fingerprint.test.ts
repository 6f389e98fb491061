import { createHash, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { createHmacSha256 } from '../sealing/hmac.ts';
import { createTokenFingerprint } from './token-fingerprint.ts';

test('is the same with the same sealing key, in every replica, and differs with another key', () => {
  const secret = randomBytes(32);
  const made = createTokenFingerprint(secret)('token');
  expect(made).toMatch(/^[\w-]{22}$/);
  expect(createTokenFingerprint(Buffer.from(secret))('token')).toBe(made);
  expect(createTokenFingerprint(secret)('token2')).not.toBe(made);
  expect(createTokenFingerprint(randomBytes(32))('token')).not.toBe(made);
  // No use of the sealing key itself, which seals records and names them as well.
  expect(createHmacSha256(secret)('token')).not.toContain(made.slice(0, 8));
});

test('without a sealing key belongs to this process, and is not a plain digest', () => {
  const made = createTokenFingerprint()('token');
  expect(made).toMatch(/^[\w-]{22}$/);
  expect(createTokenFingerprint()('token')).toBe(made);
  for (const digest of ['sha256', 'sha1', 'md5', 'sha512']) {
    expect(createHash(digest).update('token').digest('base64url')).not.toContain(made.slice(0, 8));
  }
});
