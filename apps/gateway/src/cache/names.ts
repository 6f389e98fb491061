import { createHmacSha256 } from '../sealing/hmac.ts';

/** What an answer hangs on. */
export interface Question {
  readonly token: string;
  /** A set: neither order nor repeats count. */
  readonly audiences: readonly string[];
  /** Of the authenticator's config, see `AuthenticatorConfig`. */
  readonly fingerprint: string;
}

/**
 * Names an answer by what was asked: injective over (token, audiences, fingerprint), and nobody without the key can tell
 * a token from it, or make the name of one.
 *
 * @param key 256 bits
 */
export function nameOf(key: Uint8Array, { token, audiences, fingerprint }: Question): string {
  return mac(key, [fingerprint, token, ...[...new Set(audiences)].sort()]);
}

/** Names a token whatever it was asked for. */
export function nameOfToken(key: Uint8Array, { token, fingerprint }: Omit<Question, 'audiences'>): string {
  return mac(key, [fingerprint, token]);
}

/** Names a set of audiences; '' is that of none. */
export function nameOfAudiences(key: Uint8Array, audiences: readonly string[]): string {
  return audiences.length === 0 ? '' : mac(key, [...new Set(audiences)].sort());
}

const macs = new WeakMap<Uint8Array, (text: string) => string>();

/**
 * As JSON no other list of texts looks the same: ['a', 'bc'] and ['ab', 'c'] differ, and so do lone surrogates, which
 * UTF-8 makes one of (ECMA-262, QuoteJSONString, escapes them).
 */
function mac(key: Uint8Array, texts: readonly string[]): string {
  const known = macs.get(key) ?? createHmacSha256(key);
  macs.set(key, known);
  return known(JSON.stringify(texts));
}
