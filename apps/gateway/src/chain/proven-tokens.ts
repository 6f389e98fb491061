import { hash, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';

/** Tokens that were good the last time that the backend was asked. */
export interface ProvenTokens {
  has(token: string): boolean;
  add(token: string): void;
}

/** About 100 bytes each. */
const most = 10_000;

/**
 * Keeps a digest of those used last, under a random key of this process. Not an HMAC: it is made for each answer of
 * every authenticator, so it must cost no more than a microsecond, and no one sees the digest.
 */
export function createProvenTokens(): ProvenTokens {
  const key = randomBytes(32).toString('base64');
  const proven = new LRUCache<string, true>({ max: most });
  const digest = (token: string) => hash('sha256', key + token, 'base64url');
  return {
    has: (token) => proven.get(digest(token)) === true,
    add: (token) => void proven.set(digest(token), true),
  };
}
