import { auditEntry } from '../../audit/entry.ts';
import { isUnread, type ReviewReport } from '../../server/review-report.ts';
import type { RecentReview } from './document.ts';

/** How many are kept. */
const most = 50;
/** Of a text that others wrote, in characters: what is kept must not hang on callers or backends. */
const longest = 256;

/** The last reviews. Of their tokens nothing is kept. */
export interface RecentReviews {
  /** Never throws. */
  record(report: ReviewReport): void;
  /** Newest first. */
  list(): readonly RecentReview[];
}

export function createRecentReviews(): RecentReviews {
  const ring: RecentReview[] = [];
  let next = 0;
  const newest = () => (next + most - 1) % most;
  return {
    record(report) {
      // Thousands a second may be refused unread: one line says so, and the reviews before it stay.
      const { outcome } = report;
      const repeated = isUnread(outcome) && ring[newest()]?.outcome === outcome;
      const place = repeated ? newest() : next;
      ring[place] = recentReview(report);
      if (!repeated) next = (next + 1) % most;
    },
    list: () => [...ring.slice(next), ...ring.slice(0, next)].reverse(),
  };
}

function recentReview(report: ReviewReport): RecentReview {
  const { reason, authenticator, username, subject, cached } = auditEntry(report);
  const { id, at, outcome, seconds, callerGone } = report;
  const who = username ?? subject;
  return {
    id,
    at,
    outcome,
    ...(reason !== undefined && { reason: kept(reason) }),
    ...(authenticator !== undefined && { authenticator }),
    ...(who !== undefined && { username: kept(who) }),
    ...(cached !== undefined && { source: cached }),
    seconds,
    callerGone,
  };
}

/** A copy: a part of a long text would keep all of it. */
function kept(text: string): string {
  return text.length <= longest ? text : `${Buffer.from(text.slice(0, longest)).toString()}…`;
}
