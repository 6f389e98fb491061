import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ReviewOutcome, ReviewReport } from '../server/review-report.ts';

/** Counts reviews as a whole. */
export interface ReviewMetrics {
  /** Counts a review that has ended. Never throws. */
  record(review: Pick<ReviewReport, 'version' | 'outcome' | 'seconds'>): void;
}

/**
 * Upper bounds in seconds, from an answer out of memory (50 µs) to the longest review. The steps between 1 and 5 are
 * small. 3 and 10 are the defaults of `timeout` and `reviewTimeout`, so they separate answers in time from late ones.
 */
export const durationBuckets: readonly number[] = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10,
];

/** `none`: no review could be read. It is a word, because an empty label is no label to Prometheus. */
type Version = NonNullable<ReviewReport['version']> | 'none';

const outcomesOf: Readonly<Record<Version, readonly ReviewOutcome[]>> = {
  v1: ['authenticated', 'rejected', 'unknown', 'error'],
  v1beta1: ['authenticated', 'rejected', 'unknown', 'error'],
  none: ['invalid', 'overloaded', 'error'],
};

/** @param inFlight the number that `server.maxInFlight` limits, read at each scrape */
export function createReviewMetrics(registry: Registry, inFlight: () => number): ReviewMetrics {
  const registers = [registry];
  const reviews = new Counter({
    name: 'sallyport_token_reviews_total',
    help: 'Token reviews that were answered, by outcome. version is none when no review could be read. A rise of error means that tokens could not be checked, or that the caller did not wait; of invalid, that a client sends requests that are not a TokenReview; of overloaded, that server.maxInFlight is reached; of rejected, wrong passwords or expired tokens.',
    labelNames: ['version', 'outcome'],
    registers,
  });
  for (const [version, outcomes] of Object.entries(outcomesOf)) {
    for (const outcome of outcomes) reviews.inc({ version, outcome }, 0);
  }
  const durations = new Histogram({
    name: 'sallyport_token_review_duration_seconds',
    help: 'Seconds from the arrival of a token review until its answer was ready, by outcome. A rise means slow backends or fewer answers from the cache; sallyport_authenticator_duration_seconds shows which authenticator.',
    labelNames: ['outcome'],
    buckets: [...durationBuckets],
    registers,
  });
  new Gauge({
    name: 'sallyport_in_flight_token_reviews',
    help: 'Token reviews in progress, including lookups whose review has ended; limited by server.maxInFlight. A rise means slow backends. At the limit, reviews are refused with 429.',
    registers,
    collect() {
      this.set(inFlight());
    },
  });
  return {
    record({ version = 'none', outcome, seconds }) {
      reviews.inc({ version, outcome });
      durations.observe({ outcome }, seconds);
    },
  };
}
