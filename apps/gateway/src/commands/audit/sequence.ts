/** Sequence numbers, both ends included. */
interface Range {
  readonly first: number;
  readonly last: number;
}

/** What the lines of one process come to. */
export interface SequenceReport {
  readonly lines: number;
  readonly first: number;
  readonly last: number;
  /** Numbers that no line has and no line tells of. */
  readonly gaps: readonly Range[];
  /** How many numbers the gaps are. */
  readonly missing: number;
  /** Lines whose number was there before. */
  readonly repeats: number;
  /** Lines that were dropped, and that a later line tells of. */
  readonly dropped: number;
}

export interface Sequence {
  readonly report: SequenceReport;
  /** @param dropped how many right before it were dropped, as the line says */
  add(sequence: number, dropped: number): void;
}

/** Gaps that are remembered one by one. Beyond it they are counted, and a line that comes late is a repeat. */
const mostGaps = 1000;

/** @param isWhole the trail is looked at from the start of the process on, so its lines begin with 1 */
export function createSequence(isWhole: boolean): Sequence {
  const gaps: Range[] = [];
  let first: number | undefined;
  let last = 0;
  let [lines, missing, repeats, dropped] = [0, 0, 0, 0];

  function addGap(gap: Range): void {
    if (gap.last < gap.first) return;
    missing += gap.last - gap.first + 1;
    if (gaps.length < mostGaps) gaps.push(gap);
  }

  /** A line that comes late fills its place, as in logs that somebody else has put together. */
  function fill(sequence: number): boolean {
    const at = gaps.findIndex((gap) => gap.first <= sequence && sequence <= gap.last);
    const gap = gaps[at];
    if (gap === undefined) return false;
    const parts = [
      { first: gap.first, last: sequence - 1 },
      { first: sequence + 1, last: gap.last },
    ];
    gaps.splice(at, 1, ...parts.filter((part) => part.first <= part.last));
    missing -= 1;
    return true;
  }

  return {
    get report() {
      return { lines, first: first ?? 0, last, gaps, missing, repeats, dropped };
    },
    add(sequence, before) {
      lines += 1;
      if (first !== undefined && sequence <= last) {
        if (!fill(sequence)) repeats += 1;
        return;
      }
      const expected = first === undefined && !isWhole ? sequence - before : last + 1;
      const said = Math.max(0, Math.min(before, sequence - expected));
      dropped += said;
      addGap({ first: expected, last: sequence - 1 - said });
      first ??= sequence;
      last = sequence;
    },
  };
}
