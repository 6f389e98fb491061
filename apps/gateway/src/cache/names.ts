import { hash, randomBytes } from 'node:crypto';
import { createHmacSha256 } from '../sealing/hmac.ts';

/** What an answer depends on. */
export interface Question {
  readonly token: string;
  /** A set: neither order nor repeats count. */
  readonly audiences: readonly string[];
  /** Of the authenticator's config, see `AuthenticatorConfig`. */
  readonly fingerprint: string;
}

/** The user of a cached answer: a name means the same user only with one configuration of one authenticator. */
export interface CachedUser extends Pick<Question, 'fingerprint'> {
  readonly username: string;
}

/**
 * Cached answers that one user may have with one authenticator, in each tier. A directory finds `alice`, `ALICE` and
 * ` alice ` alike, and each spelling is another token: without a limit one user's own password fills the cache.
 */
export const maxAnswersOfUser = 8;

/**
 * Names an answer by what was asked: injective over (token, audiences, fingerprint), and no one without the key of 256 bits
 * can learn a token from it, or make the name of one.
 */
export function nameOf(key: Uint8Array, question: Question): string {
  return mac(key, textsOf(question));
}

/**
 * Names answers under a random key, as `nameOf` does. It is no HMAC, which hashes twice: no one sees these names, and
 * only who sees a digest can extend it.
 */
export function createPrivateNames(): (question: Question) => string {
  const key = randomBytes(32).toString('hex');
  return (question) => hash('sha256', key + JSON.stringify(textsOf(question)), 'base64url');
}

function textsOf({ token, audiences, fingerprint }: Question): readonly string[] {
  const set = audiences.length > 1 ? [...new Set(audiences)].sort() : audiences;
  return [fingerprint, token, ...set];
}

/** Names a user by a keyed digest. @param key another one than that of `nameOf` */
export function nameOfUser(key: Uint8Array, { fingerprint, username }: CachedUser): string {
  return mac(key, [fingerprint, username]);
}

const macs = new WeakMap<Uint8Array, (text: string) => string>();

/**
 * As JSON no other list of strings looks the same: ['a', 'bc'] and ['ab', 'c'] differ, and so do lone surrogates, which
 * UTF-8 makes one of (ECMA-262, QuoteJSONString, escapes them).
 */
function mac(key: Uint8Array, texts: readonly string[]): string {
  const known = macs.get(key) ?? createHmacSha256(key);
  macs.set(key, known);
  return known(JSON.stringify(texts));
}
