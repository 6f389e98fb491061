import { decisionOf } from '../../audit/entry.ts';
import { isUnread, type ReviewReport } from '../../server/review-report.ts';
import type { RecentReview } from './document.ts';

const maxReviews = 50;
/** In characters. The memory of a review must not depend on what callers and backends send. */
const maxTextLength = 256;

/** The last reviews, without their tokens. */
export interface RecentReviews {
  /** Never throws. */
  record(report: ReviewReport): void;
  /** Newest first. */
  list(): readonly RecentReview[];
}

export function createRecentReviews(): RecentReviews {
  const reviews: RecentReview[] = [];
  return {
    record(report) {
      // Thousands a second can be refused unread. They are one line, so that the reviews before them stay.
      if (isUnread(report.outcome) && reviews.at(-1)?.outcome === report.outcome) reviews.pop();
      if (reviews.push(recentReview(report)) > maxReviews) reviews.shift();
    },
    list: () => reviews.toReversed(),
  };
}

function recentReview(report: ReviewReport): RecentReview {
  const { reason, authenticator, username, subject, cached } = decisionOf(report);
  const { id, at, outcome, seconds, callerGone } = report;
  const review: { -readonly [Key in keyof RecentReview]: RecentReview[Key] } = { id, at, outcome, seconds, callerGone };
  const who = username ?? subject;
  if (reason !== undefined) review.reason = shortened(reason);
  if (authenticator !== undefined) review.authenticator = authenticator;
  if (who !== undefined) review.username = shortened(who);
  if (cached !== undefined) review.source = cached;
  return review;
}

/** Copies the text: a slice of a long text would keep all of it in memory. */
function shortened(text: string): string {
  return text.length <= maxTextLength ? text : `${Buffer.from(text.slice(0, maxTextLength)).toString()}…`;
}
