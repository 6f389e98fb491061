import { hash } from 'node:crypto';

/** The size of a key, and of a digest, in bytes. */
const size = 32;

/** The block size of SHA-256, in bytes (RFC 2104, section 2: B). */
const blockSize = 64;

/**
 * Makes the HMAC-SHA-256 (RFC 2104) of texts in UTF-8, in base64url. The key of the HMAC is the 64 hexadecimal digits of `key`:
 * they are exactly one block, and stay ASCII when XORed with either pad, so that both hashes can take and return strings.
 * Each review needs two or three: `createHmac` takes four times as long for the object that it makes.
 */
export function createHmacSha256(key: Uint8Array): (text: string) => string {
  if (key.length !== size) throw new RangeError(`a key must have ${size} bytes, not ${key.length}`);
  const digits = Buffer.from(Buffer.from(key).toString('hex'));
  const inner = padded(digits, 0x36).toString('latin1');
  const outer = Buffer.alloc(blockSize + size);
  outer.set(padded(digits, 0x5c));
  return (text) => {
    outer.write(hash('sha256', inner + text, 'latin1'), blockSize, 'latin1');
    return hash('sha256', outer, 'base64url');
  };
}

function padded(block: Uint8Array, pad: number): Buffer {
  return Buffer.from(block.map((byte) => byte ^ pad));
}
