import { hash } from 'node:crypto';

/** Bytes: of SHA-256 (RFC 2104, section 2: B). */
const blockSize = 64;

/**
 * HMAC-SHA-256 (RFC 2104), made of two one-shot hashes: each review needs two or three, and `createHmac` takes five times
 * as long for the object that it makes.
 *
 * @param key at most 64 bytes; one with more would have to be hashed first
 */
export function createHmacSha256(key: Uint8Array): (message: Uint8Array) => Buffer {
  if (key.length > blockSize) throw new RangeError(`a key of ${key.length} bytes is longer than a block`);
  const inner = pad(key, 0x36);
  const outer = pad(key, 0x5c);
  return (message) =>
    hash('sha256', Buffer.concat([outer, hash('sha256', Buffer.concat([inner, message]), 'buffer')]), 'buffer');
}

function pad(key: Uint8Array, byte: number): Buffer {
  const block = Buffer.alloc(blockSize);
  block.set(key);
  return block.map((each) => each ^ byte) as Buffer;
}
