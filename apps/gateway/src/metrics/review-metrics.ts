import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ReviewOutcome, ReviewReport } from '../server/review-report.ts';
import { durationBuckets } from './duration-buckets.ts';

/** What is counted of the reviews as a whole. */
export interface ReviewMetrics {
  /** Of a review that has ended. Never throws. */
  record(review: Pick<ReviewReport, 'version' | 'outcome' | 'seconds'>): void;
}

/** `none`: no review could be read. A word, since an empty label is no label to Prometheus. */
type Version = NonNullable<ReviewReport['version']> | 'none';

const outcomesOf: Readonly<Record<Version, readonly ReviewOutcome[]>> = {
  v1: ['authenticated', 'rejected', 'unknown', 'error'],
  v1beta1: ['authenticated', 'rejected', 'unknown', 'error'],
  none: ['invalid', 'overloaded', 'error'],
};

/** @param inFlight what `server.maxInFlight` bounds, asked when Prometheus asks */
export function createReviewMetrics(registry: Registry, inFlight: () => number): ReviewMetrics {
  const registers = [registry];
  const reviews = new Counter({
    name: 'sallyport_token_reviews_total',
    help: 'Requests for a review that were answered, by how they ended; version none: no review could be read. A rise of error: tokens could not be checked, or whoever asked did not wait. Of invalid: somebody sends what is no TokenReview. Of overloaded: server.maxInFlight is reached. Of rejected: bad passwords, ended tokens.',
    labelNames: ['version', 'outcome'],
    registers,
  });
  for (const [version, outcomes] of Object.entries(outcomesOf)) {
    for (const outcome of outcomes) reviews.inc({ version, outcome }, 0);
  }
  const durations = new Histogram({
    name: 'sallyport_token_review_duration_seconds',
    help: 'Seconds from when a review came until its answer was ready, by how it ended. A rise: backends are slow, or less is answered from the cache; sallyport_authenticator_duration_seconds says whose.',
    labelNames: ['outcome'],
    buckets: [...durationBuckets],
    registers,
  });
  new Gauge({
    name: 'sallyport_in_flight_token_reviews',
    help: 'Reviews under way, and lookups that outlived theirs: what server.maxInFlight bounds. A rise: backends are slow. At the bound reviews are refused (429).',
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
