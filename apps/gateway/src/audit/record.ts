import { LRUCache } from 'lru-cache';
import { createSeldom } from '../logging/seldom.ts';
import type { Entry } from '../revocation/types.ts';
import { isUnread, type OnReview, type ReviewReport } from '../server/review-report.ts';
import { actKey, administrativeAct } from './administrative-act.ts';
import { auditEntry } from './entry.ts';
import { createGathering } from './gathering.ts';
import { createIsoTimes } from './iso-times.ts';
import { actLine, auditLine, type LineNumber } from './line.ts';

/** What makes lines of reviews, and of what administrators do. */
export interface AuditRecord {
  /** Never throws. Its line is made within 20 ms, or at the next `use`. */
  readonly write: OnReview;
  /** Never throws. One line for each act, however often this process learns of it. */
  act(entry: Entry): void;
  /** Begins, with what makes fingerprints of tokens; undefined: ends. */
  use(fingerprint: Fingerprint | undefined): void;
}

type Fingerprint = (token: string) => string;

/** Lines are made many at a time, in a third of what each takes between two reviews, and written together. */
const gathering = { within: 20, most: 250 };

/** More than the revocation list can have. An act that is learned of again after so many others has a second line. */
const mostActs = 20_000;

/**
 * Numbers lines from 1, whatever becomes of them.
 *
 * @param offer false: there is no room for the line
 */
export function createAuditRecord(boot: string, offer: (line: string) => boolean, onDropped: () => void): AuditRecord {
  const time = createIsoTimes();
  const startedAt = Date.now();
  const acts = new LRUCache<string, true>({ max: mostActs });
  const seldom = createSeldom(() => performance.now());
  let fingerprint: Fingerprint | undefined;
  let sequence = 0;
  let dropped = 0;

  const offerNumbered = (at: number, lineOf: (number: LineNumber) => string) => {
    sequence += 1;
    // Counted at first, so that a line that fails in whatever way is missed.
    dropped += 1;
    const before = dropped - 1;
    if (offer(lineOf({ time: time(at), boot, sequence, dropped: before || undefined }))) dropped = 0;
  };
  const tryWrite = (report: ReviewReport) => {
    // What was refused unread is no decision: one line each would let whoever sends rubbish write to the disk faster
    // than with tokens.
    const unwritten = isUnread(report.outcome) ? seldom(report.outcome) : 0;
    if (unwritten === undefined) return;
    offerNumbered(report.at, (number) => {
      const origin = {
        ...number,
        unwritten: unwritten || undefined,
        fingerprint: report.token === undefined ? undefined : fingerprint?.(report.token),
        review: report.id,
      };
      return auditLine(origin, auditEntry(report));
    });
  };
  const safely = (work: () => void) => {
    const before = dropped;
    try {
      work();
    } catch {
      // Told as a line that was dropped: an account that can't be made is no reason to change an answer.
    }
    if (dropped > before) onDropped();
  };
  const { add, flush } = createGathering<ReviewReport>({
    ...gathering,
    handle(reports) {
      for (const report of reports) safely(() => tryWrite(report));
    },
  });

  return {
    write(report) {
      if (fingerprint !== undefined) add(report);
    },
    act(entry) {
      const key = actKey(entry);
      if (fingerprint === undefined || acts.has(key)) return;
      acts.set(key, true);
      flush();
      safely(() => offerNumbered(Date.now(), (number) => actLine(number, administrativeAct(entry, startedAt))));
    },
    use(next) {
      flush();
      fingerprint = next;
    },
  };
}
