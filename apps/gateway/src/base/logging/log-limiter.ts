/** The milliseconds between two lines of a kind. */
const interval = 10_000;

/**
 * Limits how many similar lines are written, where an outage or a client that sends rubbish would make thousands a
 * second: of each kind one line in 10 s is written.
 *
 * @param now monotonic milliseconds
 * @returns undefined if this line is not to be written; otherwise the number of lines of its kind that were not,
 *   since the last
 */
export function createLogLimiter(now: () => number): (kind: string) => number | undefined {
  const lastLogged = new Map<string, { at: number; skipped: number }>();
  return (kind) => {
    const last = lastLogged.get(kind);
    if (last !== undefined && now() - last.at < interval) {
      last.skipped += 1;
      return undefined;
    }
    lastLogged.set(kind, { at: now(), skipped: 0 });
    return last?.skipped ?? 0;
  };
}
