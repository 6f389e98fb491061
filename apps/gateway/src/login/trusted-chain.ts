import type { X509Certificate } from 'node:crypto';
import { isIssuedBy } from '@sallyport/plugin-kit';

/**
 * Whether a client that trusts these CAs accepts a chain, as far as signatures go. As OpenSSL does, it goes from the server's own
 * certificate to its issuer, among those that are sent and those that are trusted, until one that has signed itself: that one must be
 * trusted.
 *
 * @param chain the server's own certificate first
 */
export function isTrustedChain(
  chain: readonly X509Certificate[],
  trusted: readonly X509Certificate[],
): boolean {
  const pool = [...trusted, ...chain];
  let at = chain[0];
  // A chain has no certificate twice.
  for (let steps = 0; at !== undefined && steps <= pool.length; steps++) {
    const one: X509Certificate = at;
    if (isIssuedBy(one, one))
      return trusted.some(({ fingerprint256 }) => fingerprint256 === one.fingerprint256);
    at = pool.find((other) => other !== one && isIssuedBy(one, other));
  }
  return false;
}
