import type { HealthCheck } from '../health.ts';

/** In milliseconds: beyond, what was known is not told any more. Above the 10 s for which a check is told again. */
const knownFor = 15_000;

/**
 * What the checks of authenticators said last, without waiting for those under way: a backend that hangs must not hold up
 * the page that shows it. Only what is not known, or long ago, is waited for.
 *
 * @param check asks, at most every 10 s
 * @param now monotonic milliseconds
 */
export function createKnownHealth(
  check: () => Promise<readonly HealthCheck[]>,
  now: () => number,
): (names: readonly string[]) => Promise<ReadonlyMap<string, HealthCheck>> {
  let known: ReadonlyMap<string, HealthCheck> = new Map();
  let knownAt = Number.NEGATIVE_INFINITY;
  return async (names) => {
    const checked = check().then((found) => {
      known = new Map(found.map((one) => [one.name, one]));
      knownAt = now();
    });
    if (now() - knownAt > knownFor || names.some((name) => !known.has(name))) await checked;
    return known;
  };
}
