import type { OnReview } from '../server/review-report.ts';
import { type AuditEntry, auditEntry } from './entry.ts';
import { auditLine } from './line.ts';
import type { PendingLine } from './line-queue.ts';
import { createSeldom } from './seldom.ts';

/** What makes lines of reviews. */
export interface AuditRecord {
  /** Never throws. */
  readonly write: OnReview;
  /** Begins, with what makes fingerprints of tokens; undefined: ends. */
  use(fingerprint: ((token: string) => string) | undefined): void;
}

/**
 * Numbers lines from 1, whatever becomes of them.
 *
 * @param offer false: there is no room for the line
 */
export function createAuditRecord(
  boot: string,
  offer: (line: PendingLine) => boolean,
  onDropped: () => void,
): AuditRecord {
  const seldom = createSeldom(() => performance.now());
  let fingerprint: ((token: string) => string) | undefined;
  let sequence = 0;
  let dropped = 0;

  const tryWrite: OnReview = (report) => {
    if (fingerprint === undefined) return;
    const unwritten = seldom(report.outcome);
    if (unwritten === undefined) return;
    sequence += 1;
    // Counted at first, so that a line that fails in whatever way is missed.
    dropped += 1;
    const before = dropped - 1;
    const origin = {
      boot,
      sequence,
      dropped: before || undefined,
      unwritten: unwritten || undefined,
      fingerprint: report.token === undefined ? undefined : fingerprint(report.token),
    };
    const entry = auditEntry(report);
    if (offer({ size: sizeOf(entry), text: () => auditLine(origin, entry) })) dropped = 0;
  };

  return {
    write(report) {
      const before = dropped;
      try {
        tryWrite(report);
      } catch {
        // Told as a line that was dropped: an account that can't be made is no reason to change an answer.
      }
      if (dropped > before) onDropped();
    },
    use(next) {
      fingerprint = next;
    },
  };
}

/** Bytes of its line, rather fewer: names may be long, all else is not. */
function sizeOf({ username = '', subject = '', uid = '', caller = '', reason = '', asked }: AuditEntry): number {
  return 192 + username.length + subject.length + uid.length + caller.length + reason.length + 64 * asked.length;
}
