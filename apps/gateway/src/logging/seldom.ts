/** One line of a kind in this many milliseconds. */
const interval = 10_000;

/**
 * Tells which lines are written, where outages and whoever sends rubbish would make thousands alike a second: of each
 * kind one in 10 s stands for all like it.
 *
 * @param now monotonic milliseconds
 * @returns undefined: not this one. Else how many of its kind were not since the last
 */
export function createSeldom(now: () => number): (kind: string) => number | undefined {
  const told = new Map<string, { at: number; unwritten: number }>();
  return (kind) => {
    const last = told.get(kind);
    if (last !== undefined && now() - last.at < interval) {
      last.unwritten += 1;
      return undefined;
    }
    told.set(kind, { at: now(), unwritten: 0 });
    return last?.unwritten ?? 0;
  };
}
