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
  let certificate = chain[0];
  // A chain has no certificate twice.
  for (let steps = 0; certificate !== undefined && steps <= pool.length; steps++) {
    const current: X509Certificate = certificate;
    if (isIssuedBy(current, current))
      return trusted.some(({ fingerprint256 }) => fingerprint256 === current.fingerprint256);
    certificate = pool.find((issuer) => issuer !== current && isIssuedBy(current, issuer));
  }
  return false;
}
