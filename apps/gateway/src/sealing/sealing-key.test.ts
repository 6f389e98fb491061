import { createHmac, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { createSealingKey } from './sealing-key.ts';

const hmac = (key: Uint8Array | string, ...parts: (string | Uint8Array)[]) => {
  const made = createHmac('sha256', key);
  for (const part of parts) made.update(part);
  return made.digest();
};

/** RFC 5869, sections 2.2 and 2.3, for one block. */
const hkdf = (secret: Uint8Array, salt: string, purpose: string) => hmac(hmac(salt, secret), purpose, Uint8Array.of(1));

test('derives as RFC 5869 says, the same in every replica and at every call', () => {
  const secret = randomBytes(48);
  for (const purpose of ['cache names', 'cache records', '']) {
    const expected = hkdf(secret, 'sallyport cache v1', purpose);
    const key = createSealingKey(secret);
    for (const each of [key, key, createSealingKey(Buffer.from(secret))]) {
      expect(Buffer.from(each.derive(purpose))).toEqual(expected);
    }
  }
});

test('has a different key for each purpose and each secret, of 256 bits each', () => {
  const secrets = [randomBytes(32), randomBytes(32), randomBytes(33)];
  const purposes = ['cache names', 'cache records', 'cache record', 'tag', ''];
  const made = secrets.flatMap((secret) => purposes.map((purpose) => createSealingKey(secret).derive(purpose)));
  expect(made.map(({ length }) => length)).toEqual(made.map(() => 32));
  expect(new Set(made.map((one) => Buffer.from(one).toString('hex'))).size).toBe(made.length);
});

test('differs for each place, so that what one fleet has sealed opens nowhere else', () => {
  const secret = randomBytes(32);
  const made = ['', 'a:', 'b:'].map((place) => createSealingKey(secret, place));
  expect(new Set(made.map(({ tag }) => tag)).size).toBe(3);
  expect(new Set(made.map((key) => Buffer.from(key.derive('cache records')).toString('hex'))).size).toBe(3);
});

test('has a tag that distinguishes keys and is no part of what seals', () => {
  const secret = randomBytes(32);
  const key = createSealingKey(secret);
  expect(key.tag).toMatch(/^[0-9a-f]{16}$/);
  expect(key.tag).toBe(createSealingKey(secret).tag);
  expect(key.tag).not.toBe(createSealingKey(randomBytes(32)).tag);
  for (const each of [secret, key.derive('cache names'), key.derive('cache records')]) {
    expect(Buffer.from(each).toString('hex')).not.toContain(key.tag);
  }
  expect(JSON.stringify(key)).toBe(JSON.stringify({ tag: key.tag }));
});
