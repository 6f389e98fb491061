import { hash } from 'node:crypto';
import type { JWK } from 'jose';
import type { IssuerOptions } from './options.ts';

/**
 * The digests of the keys that were read last, by issuer. A reload makes another authenticator, and while its issuer is down,
 * cached answers must still be of the version that they were.
 */
const lastDigests = new Map<string, string>();

/** Follows the keys in force of all issuers. Replicas that have the same keys have the same version. */
export function createKeyVersions(issuers: readonly Pick<IssuerOptions, 'url' | 'keys'>[]) {
  const names = issuers.map(({ url, keys }) => JSON.stringify([url, keys]));
  const digests = names.map((name) => lastDigests.get(name) ?? '');
  let version = digests.join(' ');
  return {
    /** @param index of the issuer. @param keys as `parseKeys` returns them */
    set(index: number, keys: readonly JWK[]): void {
      // Some issuers list their keys in another order each time.
      const texts = keys.map((key) => JSON.stringify(key)).sort();
      const digest = hash('sha256', JSON.stringify(texts), 'base64url');
      digests[index] = digest;
      lastDigests.set(names[index] ?? '', digest);
      version = digests.join(' ');
    },
    current: () => version,
  };
}
