import { hash, randomBytes } from 'node:crypto';
import { createHmacSha256 } from '../sealing/hmac.ts';
import { recordFormat } from './record.ts';

/** All that an answer depends on. */
export interface Question {
  readonly token: string;
  /** It is a set: neither order nor repeats count. */
  readonly audiences: readonly string[];
  /** The fingerprint of the authenticator's config, see `AuthenticatorConfig`. */
  readonly fingerprint: string;
  /** `answersVersion` of the authenticator. Undefined: it has none. */
  readonly version?: string | undefined;
  /** Whether the token is the name of a user, which is no secret. Default: false. */
  readonly isName?: boolean;
}

/** The user of a cached answer: a name means the same user only with one configuration of one authenticator. */
export interface CachedUser extends Pick<Question, 'fingerprint'> {
  readonly username: string;
}

/**
 * The number of cached answers that one user may have with one authenticator, in each tier. A directory finds `alice`, `ALICE`
 * and ` alice ` alike, and each spelling is another token: without a limit one user's own password could fill the cache.
 */
export const maxAnswersOfUser = 8;

/**
 * Names an answer by what was asked: injective over (token, audiences, fingerprint, version), and no one without the key of 256 bits
 * can learn a token from it, or make the name of one.
 */
export function nameAnswer(key: Uint8Array, question: Question): string {
  return mac(key, listTexts(question));
}

/** The maximum length of the name of a user that is used as it is. Longer ones would take much memory. */
const maxPlainName = 256;

/**
 * Names answers under a random key, as `nameAnswer` does. It does not use an HMAC, which hashes twice: that prevents someone
 * who sees a digest from extending it, and no one sees these names.
 *
 * It does not hash the name of a user, since a hash takes half the time of such a cached answer. The lengths make each of these
 * names differ from all others, and from the beginning of all others; digests contain no space.
 */
export function createPrivateNames(): (question: Question) => string {
  const key = randomBytes(32).toString('hex');
  return (question) => {
    const { token, audiences, fingerprint, isName = false } = question;
    if (isName && audiences.length === 0 && token.length <= maxPlainName)
      return `${fingerprint.length} ${token.length} ${fingerprint} ${token}`;
    return hash('sha256', key + JSON.stringify(listTexts(question)), 'base64url');
  };
}

function listTexts({ token, audiences, fingerprint, version }: Question): readonly string[] {
  const set = audiences.length > 1 ? [...new Set(audiences)].sort() : audiences;
  // No fingerprint begins with a bracket.
  const config = version === undefined ? fingerprint : JSON.stringify([fingerprint, version]);
  return [config, token, ...set];
}

/** Names a user by a keyed digest. @param key not the key that `nameAnswer` uses */
export function nameUser(key: Uint8Array, { fingerprint, username }: CachedUser): string {
  return mac(key, [fingerprint, username]);
}

const macs = new WeakMap<Uint8Array, (text: string) => string>();

/**
 * Hashes a list of texts as JSON, in which no two lists look the same: ['a', 'bc'] and ['ab', 'c'] differ, and so do lone
 * surrogates, all of which UTF-8 would replace by one character (ECMA-262, QuoteJSONString, escapes them).
 */
function mac(key: Uint8Array, texts: readonly string[]): string {
  const hmac = macs.get(key) ?? createHmacSha256(key);
  macs.set(key, hmac);
  return hmac(JSON.stringify([recordFormat, ...texts]));
}
