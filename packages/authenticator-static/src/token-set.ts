import { hash, randomBytes } from 'node:crypto';
import type { UserInfo } from '@sallyport/authenticator';

/** A token of a file. */
export interface TokenRecord {
  readonly user: UserInfo;
  /** Empty: the token is valid for no audience, so it never passes. Left out: it is not bound to audiences. */
  readonly audiences?: readonly string[];
  /** Milliseconds since 1970: the token is valid from this time on. */
  readonly notBefore?: number;
  /** Milliseconds since 1970: the token is invalid from this time on. */
  readonly expiresAt?: number;
  /** Its line in the file, for messages. */
  readonly line: number;
}

/** The tokens of one file, by their blinded digests. */
export type TokenSet = ReadonlyMap<string, TokenRecord>;

const blindingKey = randomBytes(32).toString('hex');

/** SHA-256 of the token's UTF-8, 64 lowercase hexadecimal digits. */
export function digestToken(token: string): string {
  return hash('sha256', token, 'hex');
}

/**
 * The key of a token in a {@link TokenSet}: SHA-256 of a random secret key of this process and the token's digest. Both
 * have one length each, and no one sees the result, so it needs no HMAC, which takes four times as long.
 *
 * The time of a lookup in a Map depends on its keys: the Map compares the keys of one bucket character by character. If
 * the digests were the keys, a caller could send tokens with chosen digests, and learn from the time how many characters
 * agree with a digest in the file. Blinded digests are random to callers: they cannot choose which keys are compared, nor
 * how far they agree, so the time reveals nothing useful.
 */
export function blind(digest: string): string {
  return hash('sha256', blindingKey + digest, 'base64');
}

/** All decisions about a token share its record, so no caller may change it. */
export function freezeRecord(record: TokenRecord): TokenRecord {
  const { groups, extra } = record.user;
  for (const part of [groups, extra, ...Object.values(extra ?? {}), record.user, record.audiences]) Object.freeze(part);
  return Object.freeze(record);
}
