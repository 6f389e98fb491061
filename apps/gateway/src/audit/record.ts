import { createSeldom } from '../logging/seldom.ts';
import { isUnread, type OnReview, type ReviewReport } from '../server/review-report.ts';
import { auditEntry } from './entry.ts';
import { createGathering } from './gathering.ts';
import { createIsoTimes } from './iso-times.ts';
import { auditLine } from './line.ts';

/** What makes lines of reviews. */
export interface AuditRecord {
  /** Never throws. Its line is made within 20 ms, or at the next `use`. */
  readonly write: OnReview;
  /** Begins, with what makes fingerprints of tokens; undefined: ends. */
  use(fingerprint: Fingerprint | undefined): void;
}

type Fingerprint = (token: string) => string;

/** Lines are made many at a time, in a third of what each takes between two reviews, and written together. */
const gathering = { within: 20, most: 250 };

/**
 * Numbers lines from 1, whatever becomes of them.
 *
 * @param offer false: there is no room for the line
 */
export function createAuditRecord(boot: string, offer: (line: string) => boolean, onDropped: () => void): AuditRecord {
  const time = createIsoTimes();
  const seldom = createSeldom(() => performance.now());
  let fingerprint: Fingerprint | undefined;
  let sequence = 0;
  let dropped = 0;

  const tryWrite = (report: ReviewReport) => {
    // What was refused unread is no decision: one line each would let whoever sends rubbish write to the disk faster
    // than with tokens.
    const unwritten = isUnread(report.outcome) ? seldom(report.outcome) : 0;
    if (unwritten === undefined) return;
    sequence += 1;
    // Counted at first, so that a line that fails in whatever way is missed.
    dropped += 1;
    const before = dropped - 1;
    const origin = {
      time: time(report.at),
      boot,
      sequence,
      dropped: before || undefined,
      unwritten: unwritten || undefined,
      fingerprint: report.token === undefined ? undefined : fingerprint?.(report.token),
      review: report.id,
    };
    if (offer(auditLine(origin, auditEntry(report)))) dropped = 0;
  };
  const write = (report: ReviewReport) => {
    const before = dropped;
    try {
      tryWrite(report);
    } catch {
      // Told as a line that was dropped: an account that can't be made is no reason to change an answer.
    }
    if (dropped > before) onDropped();
  };
  const { add, flush } = createGathering<ReviewReport>({
    ...gathering,
    handle(reports) {
      for (const report of reports) write(report);
    },
  });

  return {
    write(report) {
      if (fingerprint !== undefined) add(report);
    },
    use(next) {
      flush();
      fingerprint = next;
    },
  };
}
