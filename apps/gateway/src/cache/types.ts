import type { NoOpinion, Rejected } from '@sallyport/authenticator';

/** Milliseconds. */
export interface Clocks {
  /** Never set back: for durations and deadlines. */
  readonly monotonic: () => number;
  /** Since 1970. */
  readonly wall: () => number;
}

export type NegativeDecision = Rejected | NoOpinion;

export type CacheTier = 'memory' | 'redis';

/** Where an answer came from that no backend gave now. `stale`: an earlier one, since the backend could not be asked. */
export type Source = CacheTier | 'stale';

/** What came of a look into a tier. `invalid`: there was something that must not be believed. */
type LookupResult = 'hit' | 'miss' | 'stale' | 'invalid' | 'error';

export interface CacheMetrics {
  lookup(authenticator: string, tier: CacheTier, result: LookupResult): void;
  coalesced(): void;
}
