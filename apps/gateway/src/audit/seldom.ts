import { isUnread, type ReviewOutcome } from '../server/review-report.ts';

/** One line of a kind in this many milliseconds. */
const interval = 10_000;

/**
 * Tells which reviews get a line. Those that were refused before anybody looked at a token are no decisions, and are
 * the cheapest to ask for: one line each would let whoever sends rubbish write to the disk faster than with tokens.
 * So of those one line each 10 s stands for all like it.
 *
 * @param now monotonic milliseconds
 * @returns undefined: no line. Else how many like it had none since the last
 */
export function createSeldom(now: () => number): (outcome: ReviewOutcome) => number | undefined {
  const told = new Map<ReviewOutcome, { at: number; unwritten: number }>();
  return (outcome) => {
    if (!isUnread(outcome)) return 0;
    const last = told.get(outcome);
    if (last !== undefined && now() - last.at < interval) {
      last.unwritten += 1;
      return undefined;
    }
    told.set(outcome, { at: now(), unwritten: 0 });
    return last?.unwritten ?? 0;
  };
}
