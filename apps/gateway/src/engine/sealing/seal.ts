import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';

/** The keys that are derived from one configured sealing key. */
export interface SealingKey {
  /** Names the key without revealing it: 16 hexadecimal digits. */
  readonly tag: string;
  /** Derives a key of 256 bits for one purpose, the same in every replica (HKDF, RFC 5869). */
  derive(purpose: string): Uint8Array;
}

/** RFC 5869, section 3.1: where there is no random salt, this one separates the keys of this application. */
const salt = 'sallyport cache v1';

/**
 * Derives keys from a secret.
 *
 * @param secret at least 32 random bytes
 * @param place where it is used, such as a key prefix: what the same secret has sealed at another place does not open here
 */
export function createSealingKey(secret: Uint8Array, place = ''): SealingKey {
  const derived = new Map<string, Uint8Array>();
  const derive = (purpose: string): Uint8Array => {
    const cached = derived.get(purpose);
    if (cached !== undefined) return cached;
    const key = new Uint8Array(hkdfSync('sha256', secret, salt + place, purpose, 32));
    derived.set(purpose, key);
    return key;
  };
  return { tag: Buffer.from(derive('tag')).toString('hex', 0, 8), derive };
}

/** The first byte of a sealed text: another format has another. */
const format = 1;
/** The size of a nonce in bytes. NIST SP 800-38D, sections 5.2.1.1 and 8.2.2: a random nonce has 96 bits. */
const nonceLength = 12;
const tagLength = 16;
const overhead = 1 + nonceLength + tagLength;

/**
 * Seals a text with AES-256-GCM for one place: it opens there, unchanged, and nowhere else. Each name has a key of its
 * own, since one key should not see more than 2^32 random nonces (NIST SP 800-38D, section 8.3). Keys have 256 bits.
 */
export function seal(key: Uint8Array, name: string, plain: Uint8Array): Buffer {
  const nonce = randomBytes(nonceLength);
  const cipher = createCipheriv('aes-256-gcm', deriveNameKey(key, name), nonce, {
    authTagLength: tagLength,
  });
  cipher.setAAD(associated(name));
  return Buffer.concat([
    Buffer.of(format),
    nonce,
    cipher.update(plain),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
}

/**
 * Opens what `seal` made.
 *
 * @returns undefined if it was not sealed by this key for this place, or was changed, moved or cut off
 */
export function open(key: Uint8Array, name: string, sealed: Uint8Array): Buffer | undefined {
  if (sealed.length < overhead || sealed[0] !== format) return undefined;
  const nonce = sealed.subarray(1, 1 + nonceLength);
  const decipher = createDecipheriv('aes-256-gcm', deriveNameKey(key, name), nonce, {
    authTagLength: tagLength,
  });
  decipher.setAAD(associated(name));
  decipher.setAuthTag(sealed.subarray(-tagLength));
  try {
    return Buffer.concat([
      decipher.update(sealed.subarray(1 + nonceLength, -tagLength)),
      decipher.final(),
    ]);
  } catch {
    return undefined;
  }
}

function deriveNameKey(key: Uint8Array, name: string): Buffer {
  return createHmac('sha256', key).update(name).digest();
}

function associated(name: string): Buffer {
  return Buffer.concat([Buffer.of(format), Buffer.from(name)]);
}

/** Seals a text for one purpose and place, in base64. */
export function sealText(key: SealingKey, purpose: string, name: string, text: string): string {
  return seal(key.derive(purpose), name, Buffer.from(text)).toString('base64');
}

/** Opens what `sealText` made. @returns undefined if it was not made with one of these keys, for that purpose and place */
export function openText(
  keys: readonly SealingKey[],
  purpose: string,
  name: string,
  sealed: string,
): string | undefined {
  const bytes = Buffer.from(sealed, 'base64');
  // Base64 is read leniently: what differs from what `sealText` makes was not made by it.
  if (bytes.toString('base64') !== sealed) return undefined;
  const texts = keys.map((key) => open(key.derive(purpose), name, bytes)?.toString());
  return texts.find((text) => text !== undefined);
}
