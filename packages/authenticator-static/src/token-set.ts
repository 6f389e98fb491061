import { createHmac, hash, randomBytes } from 'node:crypto';
import type { UserInfo } from '@sallyport/authenticator';

/** What is known of one token. */
export interface TokenRecord {
  readonly user: UserInfo;
  /** Empty: bound to none, so the token never passes. Left out: it knows nothing of audiences. */
  readonly audiences?: readonly string[];
  /** Milliseconds since 1970: the token is good from this moment on. */
  readonly notBefore?: number;
  /** Milliseconds since 1970: from this moment on the token is good no more. */
  readonly expiresAt?: number;
  /** Where it stands in its file, for messages. */
  readonly line: number;
}

/** The tokens of one file, by their blinded digests. */
export type TokenSet = ReadonlyMap<string, TokenRecord>;

const blindingKey = randomBytes(32);

/** SHA-256 of the token's UTF-8. */
export function digestToken(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}

/**
 * The key of a token in a {@link TokenSet}: an HMAC of its digest, under a key that this process drew and never tells.
 *
 * How long a Map looks depends on the keys it holds: it compares what falls into one bucket, character by character.
 * Were the digests themselves the keys, a caller could send tokens with digests of his choice, and learn from the time
 * how far one agrees with a digest in the file. Blinded, they are random to him: what he sends neither chooses which
 * keys are compared nor how far they agree, so the time tells nothing that he could use.
 */
export function blind(digest: Buffer): string {
  return createHmac('sha256', blindingKey).update(digest).digest('base64');
}

/** All decisions about a token share its record: nobody may change it. */
export function freezeRecord(record: TokenRecord): TokenRecord {
  const { groups, extra } = record.user;
  for (const part of [groups, extra, ...Object.values(extra ?? {}), record.user, record.audiences]) Object.freeze(part);
  return Object.freeze(record);
}
