import { LRUCache } from 'lru-cache';
import { createLogLimiter } from '../logging/log-limiter.ts';
import { isUnread, type OnReview, type ReviewReport } from '../server/review-report.ts';
import { auditEntry, auditLine, type LineOrigin } from './entry.ts';
import { type AuditEvents, createAuditEvents, type Note } from './events.ts';

/** Makes lines of reviews, and of what administrators and users do. */
export interface AuditRecord extends AuditEvents {
  /** Never throws. Its line is made within 20 ms, or at the next `use`. */
  readonly write: OnReview;
  /** Begins, with what makes fingerprints of tokens; undefined: ends. */
  use(fingerprint: Fingerprint | undefined): void;
}

type Fingerprint = (token: string) => string;

/** Lines are made many at a time, in a third of what each takes between two reviews, and written together. */
const batchTime = 20;
const batchSize = 250;

/** More than the revocation list can have. After that many others, an event that comes again gets a second line. */
const maxNoted = 20_000;

/**
 * Numbers lines from 1, including those that are dropped.
 *
 * @param offer returns false when there is no capacity for the line
 */
export function createAuditRecord(boot: string, offer: (line: string) => boolean, onDropped: () => void): AuditRecord {
  const noted = new LRUCache<string, true>({ max: maxNoted });
  const limit = createLogLimiter(() => performance.now());
  const writeNext = createNumberedLines(offer, onDropped);
  const toTime = createTimes();
  let fingerprint: Fingerprint | undefined;
  let batch: ReviewReport[] = [];
  let timer: NodeJS.Timeout | undefined;

  function writeReview(report: ReviewReport): void {
    // A request that is refused unread has no decision. With a line for each, a client could fill the disk faster by
    // sending rubbish than by sending tokens.
    const unwritten = isUnread(report.outcome) ? limit(report.outcome) : 0;
    if (unwritten === undefined) return;
    writeNext(({ sequence, dropped }) => {
      const { at, id: review, token } = report;
      const origin = {
        time: toTime(at),
        boot,
        sequence,
        dropped,
        unwritten: unwritten || undefined,
        fingerprint: token === undefined ? undefined : fingerprint?.(token),
        review,
      };
      return auditLine(origin, auditEntry(report));
    });
  }

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    const reports = batch;
    batch = [];
    for (const report of reports) writeReview(report);
  }

  const note: Note = (entry, { at = Date.now(), token, key }) => {
    if (fingerprint === undefined || (key !== undefined && noted.has(key))) return;
    if (key !== undefined) noted.set(key, true);
    const made = token === undefined ? undefined : fingerprint(token);
    flush();
    writeNext((origin) => auditLine({ ...origin, boot, time: toTime(at), fingerprint: made }, entry));
  };

  return {
    write(report) {
      if (fingerprint === undefined) return;
      batch.push(report);
      timer ??= setTimeout(flush, batchTime);
      if (batch.length >= batchSize) flush();
    },
    ...createAuditEvents(note),
    use(next) {
      flush();
      fingerprint = next;
    },
  };
}

/** ISO 8601 of milliseconds since 1970. Lines of one batch share many times. */
function createTimes(): (at: number) => string {
  let last = Number.NaN;
  let text = '';
  return (at) => {
    if (at !== last) [last, text] = [at, new Date(at).toISOString()];
    return text;
  };
}

type MakeLine = (origin: Pick<LineOrigin, 'sequence' | 'dropped'>) => string;

/** A line that cannot be made counts as dropped: it is no reason to change an answer. */
function createNumberedLines(offer: (line: string) => boolean, onDropped: () => void): (make: MakeLine) => void {
  let sequence = 0;
  let dropped = 0;
  const tryWrite = (make: MakeLine) => {
    try {
      return offer(make({ sequence, dropped: dropped || undefined }));
    } catch {
      return false;
    }
  };
  return (make) => {
    sequence += 1;
    if (tryWrite(make)) {
      dropped = 0;
      return;
    }
    dropped += 1;
    onDropped();
  };
}
