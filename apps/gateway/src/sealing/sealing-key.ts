import { hkdfSync } from 'node:crypto';

/** The keys that are derived from one configured sealing key. */
export interface SealingKey {
  /** Names the key without revealing it: 16 hexadecimal digits. */
  readonly tag: string;
  /** 256 bits for a purpose of its own, the same in every replica (HKDF, RFC 5869). */
  derive(purpose: string): Uint8Array;
}

/** RFC 5869, section 3.1: where there is no random salt, this one separates the keys of this application. */
const salt = 'sallyport cache v1';

/**
 * @param secret at least 32 random bytes
 * @param place where it is used, besides its purposes: what the same secret has sealed elsewhere does not open here
 */
export function createSealingKey(secret: Uint8Array, place = ''): SealingKey {
  const derived = new Map<string, Uint8Array>();
  const derive = (purpose: string): Uint8Array => {
    const known = derived.get(purpose);
    if (known !== undefined) return known;
    const made = new Uint8Array(hkdfSync('sha256', secret, salt + place, purpose, 32));
    derived.set(purpose, made);
    return made;
  };
  return { tag: Buffer.from(derive('tag')).toString('hex', 0, 8), derive };
}
