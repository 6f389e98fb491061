import { hash, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';

/** Tokens that were good the last time that the backend was asked. */
export interface ProvenTokens {
  has(token: string): boolean;
  add(token: string): void;
}

/** Of all authenticators. About 100 bytes each. */
const most = 50_000;

/**
 * Keeps a digest of those used last, under a random key of this process. Not an HMAC: it is made for each answer of
 * every authenticator, so it must cost no more than a microsecond, and no one sees the digest.
 *
 * @returns those of the authenticator whose config has this fingerprint: they outlive a reload that leaves it alone
 */
export function createProvenTokens(): (fingerprint: string) => ProvenTokens {
  const key = randomBytes(32).toString('base64');
  const proven = new LRUCache<string, true>({ max: most });
  return (fingerprint) => {
    const prefix = `${key}${fingerprint} `;
    const digest = (token: string) => hash('sha256', prefix + token, 'base64url');
    return {
      has: (token) => proven.get(digest(token)) === true,
      add: (token) => void proven.set(digest(token), true),
    };
  };
}
