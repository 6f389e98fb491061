import type { AuthenticatorSettings } from './file-config.ts';

/**
 * How many lookups each authenticator may have under way, its `maxConcurrent`. Left out, it is an equal share of
 * `server.maxInFlight`, one share kept free: then authenticators that hang never take every place, not even all of
 * them at once. At most 100, at least 1.
 */
export function lookupPlaces(
  authenticators: readonly Pick<AuthenticatorSettings, 'maxConcurrent'>[],
  maxInFlight: number,
): number[] {
  const share = Math.floor(maxInFlight / (authenticators.length + 1));
  return authenticators.map(({ maxConcurrent }) => maxConcurrent ?? Math.max(1, Math.min(100, share)));
}

/**
 * How many lookups each authenticator may keep waiting for one of `places`: an equal share of what these leave of
 * `server.maxInFlight`, less one. So authenticators that hang never take every slot of the server, queues included.
 */
export function waitingPlaces(places: readonly number[], maxInFlight: number): number {
  const left = maxInFlight - 1 - places.reduce((total, count) => total + count, 0);
  return Math.max(0, Math.floor(left / places.length));
}
