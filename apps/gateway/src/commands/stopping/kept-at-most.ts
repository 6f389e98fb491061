import type { AuthenticatorConfig } from '../../config/types.ts';

/** Milliseconds more: other replicas may still have a config from before its lifetimes were made shorter. */
const margin = 3_600_000;

/** How long a revocation is to be remembered: as long as what it revokes may lie in a cache. Milliseconds. */
export function keptAtMost(authenticators: readonly Pick<AuthenticatorConfig, 'cache'>[]): number {
  const lifetimes = authenticators.map(({ cache }) =>
    cache === 'off' ? 0 : Math.max(cache.authenticatedTtl + cache.staleTtl, cache.rejectedTtl, cache.unknownTtl),
  );
  return Math.max(...lifetimes) + margin;
}
