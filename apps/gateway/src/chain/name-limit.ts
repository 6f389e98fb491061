/**
 * Lookups of one claimed name in a second, of tokens that are not proven. More than a person's tools ask at one time,
 * and so few that what one name costs the backend and this process does not show.
 */
export const mostOfOneName = 20;

/**
 * Counts the lookups of each name, whether the backend knows it or not, so it does not show which names exist.
 *
 * @param now monotonic milliseconds
 * @returns whether one more is one too many
 */
export function createNameLimit(now: () => number): (name: string) => boolean {
  let counts = new Map<string, number>();
  let end = Number.NEGATIVE_INFINITY;
  return (name) => {
    if (now() >= end) {
      counts = new Map();
      end = now() + 1_000;
    }
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return count > mostOfOneName;
  };
}
