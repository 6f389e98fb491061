import { Counter, Gauge, type Registry } from 'prom-client';
import type { ReviewOutcome, ReviewReport } from '../server/review-report.ts';
import { addDuration, createDurations, type Durations, registerDurations } from './durations.ts';

/** Counts reviews as a whole. */
export interface ReviewMetrics {
  /** Counts a review that has ended. Never throws. */
  record(review: Pick<ReviewReport, 'version' | 'outcome' | 'seconds'>): void;
}

/** `none`: no review could be read. It is a word, because an empty label is no label to Prometheus. */
type Version = NonNullable<ReviewReport['version']> | 'none';

const outcomesOf: Readonly<Record<Version, readonly ReviewOutcome[]>> = {
  v1: ['authenticated', 'rejected', 'unknown', 'error'],
  v1beta1: ['authenticated', 'rejected', 'unknown', 'error'],
  none: ['invalid', 'overloaded', 'error'],
};
const versions = ['v1', 'v1beta1', 'none'] as const;

/** @param inFlight the number that `server.maxInFlight` limits, read at each scrape */
export function createReviewMetrics(registry: Registry, inFlight: () => number): ReviewMetrics {
  const registers = [registry];
  const counts = new Map<string, Map<ReviewOutcome, number>>(versions.map((version) => [version, countsOf(version)]));
  const durations = new Map<ReviewOutcome, Durations>();
  new Counter({
    name: 'sallyport_token_reviews_total',
    help: 'Token reviews that were answered, by outcome. version is none when no review could be read. A rise of error means that tokens could not be checked, or that the caller did not wait; of invalid, that a client sends requests that are not a TokenReview; of overloaded, that server.maxInFlight is reached; of rejected, wrong passwords or expired tokens.',
    labelNames: ['version', 'outcome'],
    registers,
    collect() {
      this.reset();
      for (const [version, outcomes] of counts) {
        for (const [outcome, count] of outcomes) this.inc({ version, outcome }, count);
      }
    },
  });
  const name = 'sallyport_token_review_duration_seconds';
  const help =
    'Seconds from the arrival of a token review until its answer was ready, by outcome. A rise means slow backends or fewer answers from the cache; sallyport_authenticator_duration_seconds shows which authenticator.';
  registerDurations(registry, { name, help }, () =>
    [...durations].map(([outcome, durations]) => ({ labels: { outcome }, durations })),
  );
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
      const outcomes = counts.get(version);
      outcomes?.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if (!durations.has(outcome)) durations.set(outcome, createDurations());
      addDuration(durations.get(outcome) as Durations, seconds);
    },
  };
}

function countsOf(version: Version): Map<ReviewOutcome, number> {
  return new Map(outcomesOf[version].map((outcome) => [outcome, 0]));
}
