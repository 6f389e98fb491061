import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';

/** The first byte of a sealed text: another format has another. */
const format = 1;
/** Bytes. NIST SP 800-38D, sections 5.2.1.1 and 8.2.2: a random nonce of 96 bits. */
const nonceLength = 12;
const tagLength = 16;
const overhead = 1 + nonceLength + tagLength;

/**
 * Seals a text with AES-256-GCM for one place: it opens there, unchanged, and nowhere else. Each name has a key of its
 * own, since one key should not see more than 2^32 random nonces (NIST SP 800-38D, section 8.3).
 *
 * @param key 256 bits
 * @param name of the place, bound as associated data
 */
export function seal(key: Uint8Array, name: string, plain: Uint8Array): Buffer {
  const nonce = randomBytes(nonceLength);
  const cipher = createCipheriv('aes-256-gcm', keyOf(key, name), nonce, { authTagLength: tagLength });
  cipher.setAAD(associated(name));
  return Buffer.concat([Buffer.of(format), nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** @returns undefined for whatever was not sealed by this key for this place: changed, moved, cut off, or of another format */
export function open(key: Uint8Array, name: string, sealed: Uint8Array): Buffer | undefined {
  if (sealed.length < overhead || sealed[0] !== format) return undefined;
  const nonce = sealed.subarray(1, 1 + nonceLength);
  const decipher = createDecipheriv('aes-256-gcm', keyOf(key, name), nonce, { authTagLength: tagLength });
  decipher.setAAD(associated(name));
  decipher.setAuthTag(sealed.subarray(-tagLength));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(1 + nonceLength, -tagLength)), decipher.final()]);
  } catch {
    return undefined;
  }
}

function keyOf(key: Uint8Array, name: string): Buffer {
  return createHmac('sha256', key).update(name).digest();
}

function associated(name: string): Buffer {
  return Buffer.concat([Buffer.of(format), Buffer.from(name)]);
}
