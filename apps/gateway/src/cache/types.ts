import type { NoOpinion, Rejected } from '@sallyport/authenticator';

export type NegativeDecision = Rejected | NoOpinion;

export type CacheTier = 'memory' | 'redis';

/** What came of a look into a tier. `invalid`: there was something that must not be believed. */
type LookupResult = 'hit' | 'miss' | 'stale' | 'invalid' | 'error';

export interface CacheMetrics {
  lookup(authenticator: string, tier: CacheTier, result: LookupResult): void;
  coalesced(): void;
}
