import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { createLogLimiter } from '../../base/logging/log-limiter.ts';
import type { Entry } from '../../engine/revocation/list.ts';
import type { RefusedSession } from '../../engine/sessions/with-sessions.ts';
import { isWithoutReview, type ReviewReport } from '../../review/review-report.ts';
import {
  adminActionEntry,
  auditEntry,
  auditLine,
  type LineOrigin,
  toMicroseconds,
} from './entry.ts';
import type { LoginEvent } from './login-event.ts';

type Fingerprint = (token: string) => string;

/** Lines are made in batches, at most 20 ms later: a batch takes a third of the time of as many single lines. */
const batchTime = 20;
const batchSize = 250;

/**
 * Maximum number of events that are remembered, more than the revocation list can have. After as many others, an event
 * that comes again gets a second line.
 */
const maxNoted = 20_000;

/**
 * Makes lines of reviews, and of what administrators and users do. It numbers them from 1, including those that are
 * dropped.
 *
 * @param offer takes a line, and returns false when there is no capacity for it
 */
export function createAuditRecord(
  boot: string,
  offer: (line: string) => boolean,
  onDropped: () => void,
) {
  // `max` would allocate all slots immediately.
  const noted = new LRUCache<string, true>({ maxSize: maxNoted, sizeCalculation: () => 1 });
  const limit = createLogLimiter(() => performance.now());
  const writeNext = createNumberedLines(boot, offer, onDropped);
  let fingerprint: Fingerprint | undefined;
  let batch: ReviewReport[] = [];
  let timer: NodeJS.Timeout | undefined;

  const makeFingerprint = (token: string | undefined) =>
    token === undefined ? undefined : fingerprint?.(token);

  function writeReview(report: ReviewReport): void {
    // A request that is refused before its token is read has no decision. With a line for each, a client could fill the
    // disk faster by sending rubbish than by sending tokens.
    const skipped = isWithoutReview(report.outcome) ? limit(report.outcome) : 0;
    if (skipped === undefined) return;
    const { at, token, id: review } = report;
    const unwritten = skipped || undefined;
    writeNext(at, (numbers) =>
      auditLine(
        { ...numbers, unwritten, fingerprint: makeFingerprint(token), review },
        auditEntry(report),
      ),
    );
  }

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    const reports = batch;
    batch = [];
    for (const report of reports) writeReview(report);
  }

  return {
    /** Records a review. It never throws. Its line is made within 20 ms, or at the next `use`. */
    review(report: ReviewReport): void {
      if (fingerprint === undefined) return;
      batch.push(report);
      timer ??= setTimeout(flush, batchTime);
      if (batch.length >= batchSize) flush();
    },
    ...createAuditEvents(limit, (entry, { at = Date.now(), token, key }) => {
      if (fingerprint === undefined || (key !== undefined && noted.has(key))) return;
      if (key !== undefined) noted.set(key, true);
      flush();
      writeNext(at, (numbers) =>
        auditLine({ ...numbers, fingerprint: makeFingerprint(token) }, entry),
      );
    }),
    /** Begins to record, with what makes fingerprints of tokens, or ends it with undefined. */
    use(next: Fingerprint | undefined): void {
      flush();
      fingerprint = next;
    },
  };
}

/**
 * Writes one line. `at` is the wall clock in milliseconds, now by default. The line has the fingerprint of `token`.
 * With `key`, an event gets one line.
 */
type Note = (
  entry: object,
  options: { at?: number; token?: string | undefined; key?: string },
) => void;

/** The outcomes that have a line each. */
const decided: ReadonlySet<string> = new Set([
  'ok',
  'incomplete',
  'refused',
  'unavailable',
  'error',
]);

/**
 * Records what is not a review. It neither throws nor waits.
 *
 * @param limit limits the lines of a kind
 * @param note writes one line, after all that came before it
 */
function createAuditEvents(limit: ReturnType<typeof createLogLimiter>, note: Note) {
  const startedAt = Date.now();
  return {
    /** Writes one line for each admin action, however often this process learns of it. */
    adminAction(entry: Entry): void {
      // The key is the same even if a replica has written the entry back to Redis under another id.
      const { action, kind, name, at, by } = entry;
      note(adminActionEntry(entry, startedAt), {
        key: JSON.stringify([action, kind, name, at, by]),
      });
    },
    /**
     * Writes a line for each logout, and for each request about a login that was decided or could not be checked: one at a
     * terminal, up to three in a browser. An `invalid` one with a reason proves nothing, and anyone can send it: of each reason it
     * writes one line in 10 s. Other requests have none.
     */
    login(event: Omit<LoginEvent, 'session' | 'ended'>): void {
      const { action, outcome, reason, isDecision, details, seconds, at, token } = event;
      const isLogin = isDecision && decided.has(outcome);
      const isLogout = (action === 'logout' || action === 'logout-everywhere') && outcome === 'ok';
      const isUnproven = isDecision && outcome === 'invalid' && reason !== undefined;
      if (!isLogin && !isLogout && !isUnproven) return;
      const skipped = isUnproven ? limit(`${action} ${reason}`) : 0;
      if (skipped === undefined) return;
      const unwritten = skipped || undefined;
      note(
        { event: action, outcome, unwritten, ...details, seconds: toMicroseconds(seconds) },
        { at, token },
      );
    },
    /** Writes one line for each session and reason, however often the session is refused. */
    refusedSession({ token, reason }: RefusedSession, details: object): void {
      note(
        { event: 'session-refused', ...details },
        { token, key: hash('sha256', JSON.stringify([token, reason])) },
      );
    },
  };
}

type MakeLine = (numbers: Pick<LineOrigin, 'time' | 'boot' | 'sequence' | 'dropped'>) => string;

function createNumberedLines(
  boot: string,
  offer: (line: string) => boolean,
  onDropped: () => void,
) {
  let [sequence, dropped] = [0, 0];
  let [timed, time] = [Number.NaN, ''];
  return (at: number, make: MakeLine): void => {
    sequence += 1;
    try {
      // Many lines of one batch share a time.
      if (at !== timed) [timed, time] = [at, new Date(at).toISOString()];
      if (offer(make({ time, boot, sequence, dropped: dropped || undefined }))) {
        dropped = 0;
        return;
      }
    } catch {
      // A line that can't be made counts as dropped: it is no reason to change an answer.
    }
    dropped += 1;
    onDropped();
  };
}
