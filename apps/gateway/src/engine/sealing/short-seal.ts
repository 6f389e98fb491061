import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import type { SealingKey } from './seal.ts';

/** 96 bits: each guess is a request, and 2^64 of them would take longer than any key is used. */
const tagLength = 12;

/** A sealed text, and the secret number by which its readers can know it. */
interface ShortText {
  readonly bytes: Buffer;
  /** 128 bits that differ for each text, which only the keys can compute. */
  readonly fingerprint: Buffer;
}

/**
 * Seals a text into 12 bytes more than it has, where `seal` takes 29: the digest of the text is tag and nonce at once (SIV, as in
 * RFC 5297, with HMAC and AES-256-CTR). Two equal texts have the same seal, so a text must contain something that is random.
 */
export function sealShort(key: SealingKey, purpose: string, plain: Uint8Array): ShortText {
  const digest = computeDigest(key, purpose, plain);
  const tag = digest.subarray(0, tagLength);
  const cipher = createCipheriv('aes-256-ctr', key.derive(`${purpose}: text`), firstBlock(tag));
  const bytes = Buffer.concat([tag, cipher.update(plain), cipher.final()]);
  return { bytes, fingerprint: digest.subarray(16) };
}

/** Opens what `sealShort` made. @returns undefined if it was not sealed by this key for this purpose, or was changed or cut off */
export function openShort(
  key: SealingKey,
  purpose: string,
  sealed: Uint8Array,
): ShortText | undefined {
  if (sealed.length < tagLength) return undefined;
  const tag = sealed.subarray(0, tagLength);
  const cipher = createDecipheriv('aes-256-ctr', key.derive(`${purpose}: text`), firstBlock(tag));
  const bytes = Buffer.concat([cipher.update(sealed.subarray(tagLength)), cipher.final()]);
  const digest = computeDigest(key, purpose, bytes);
  if (!timingSafeEqual(digest.subarray(0, tagLength), tag)) return undefined;
  return { bytes, fingerprint: digest.subarray(16) };
}

/** The last 32 bits of the block count the blocks of one text. */
const firstBlock = (tag: Uint8Array) => Buffer.concat([tag, Buffer.alloc(16 - tagLength)]);

function computeDigest(key: SealingKey, purpose: string, plain: Uint8Array): Buffer {
  return createHmac('sha256', key.derive(`${purpose}: digest`))
    .update(plain)
    .digest();
}
