import { collectDefaultMetrics, Registry } from 'prom-client';
import { manifest } from '../../base/package-files.ts';
import type { GatewayConfig } from '../../config/types.ts';
import type { GuardedLink } from '../../engine/chain/guard.ts';
import type { TlsMaterial } from '../../http/tls.ts';
import type { ReviewOutcome, ReviewReport } from '../../review/review-report.ts';
import { createAuthenticatorMetrics } from './authenticator-metrics.ts';
import { addDuration, byLabel, createDurations, createFamilies, fillRecord } from './families.ts';

export type GatewayMetrics = ReturnType<typeof createGatewayMetrics>;

/**
 * Creates the gateway's metrics. The metrics of its caches, its lockout guard and its logins are created with what they
 * count.
 *
 * @param inFlight its count is what `server.maxInFlight` limits
 * @param refused its count is that of the sources whose files on disk are not in force
 */
export function createGatewayMetrics(
  running: { readonly links: readonly GuardedLink[] },
  inFlight: { readonly count: number },
  refused: { readonly count: number },
) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const reviews = createReviewMetrics(registry, () => inFlight.count);
  const authenticators = createAuthenticatorMetrics(registry, () => running.links);
  return {
    registry,
    ...createProcessMetrics(registry, refused),
    /** Counts a review, and the answer of each authenticator. It never throws. */
    onReview(report: ReviewReport): void {
      reviews.record(report);
      for (const answer of report.answers) authenticators.record(answer);
    },
    follow(config: Pick<GatewayConfig, 'authenticators'>): void {
      authenticators.follow(config.authenticators.map(({ name }) => name));
    },
  };
}

const decidedOutcomes = ['authenticated', 'rejected', 'unknown', 'error'] as const;
const outcomes: readonly ReviewOutcome[] = [...decidedOutcomes, 'invalid', 'overloaded'];

/** Creates the metrics of reviews. @param inFlight is read at each scrape */
export function createReviewMetrics(registry: Registry, inFlight: () => number) {
  const makeCounts = (counted: readonly ReviewOutcome[]): Partial<Record<ReviewOutcome, number>> =>
    fillRecord(counted, () => 0);
  // It is `none` if no review could be read. That is a word, because an empty label is no label to Prometheus.
  const counts = {
    v1: makeCounts(decidedOutcomes),
    v1beta1: makeCounts(decidedOutcomes),
    none: makeCounts(['invalid', 'overloaded', 'error']),
  };
  const durations = fillRecord(outcomes, createDurations);
  const { counter, gauge, histogram } = createFamilies(registry);
  counter(
    'sallyport_token_reviews_total',
    'Token reviews that were answered, by outcome. version is none when no review could be read. A rise of error means that tokens could not be checked, or that the caller did not wait; of invalid, that a client sends requests that are not a TokenReview; of overloaded, that server.maxInFlight is reached; of rejected, wrong passwords or expired tokens.',
    () =>
      Object.entries(counts).flatMap(([version, versionCounts]) =>
        byLabel('outcome', versionCounts, { version }),
      ),
  );
  histogram(
    'sallyport_token_review_duration_seconds',
    'Seconds from the arrival of a token review until its answer was ready, by outcome. A rise means slow backends or fewer answers from the cache; sallyport_authenticator_duration_seconds shows which authenticator.',
    () => byLabel('outcome', durations),
  );
  gauge(
    'sallyport_in_flight_token_reviews',
    'Token reviews in progress, including lookups whose review has ended; limited by server.maxInFlight. A rise means slow backends. At the limit, reviews are refused with 429.',
    () => [[{}, inFlight()]],
  );
  return {
    record(report: Pick<ReviewReport, 'version' | 'outcome' | 'seconds'>): void {
      const { version, outcome, seconds } = report;
      const counted = counts[version ?? 'none'];
      counted[outcome] = (counted[outcome] ?? 0) + 1;
      addDuration(durations[outcome], seconds);
    },
  };
}

type Certificates = TlsMaterial['certificates'];

/**
 * Creates the metrics of the process.
 *
 * @param refused its count is that of the sources whose files on disk are not in force
 */
export function createProcessMetrics(registry: Registry, refused: { readonly count: number }) {
  const { node, openssl = 'none' } = process.versions;
  let certificates: Certificates = [];
  const reloads = { success: 0, failure: 0 };
  let dropped = 0;
  const { counter, gauge } = createFamilies(registry);
  gauge(
    'sallyport_build_info',
    'Always 1. The labels are the version of the gateway, of Node.js and of OpenSSL.',
    () => [[{ version: manifest.version, node, openssl }, 1]],
  );
  gauge(
    'sallyport_certificate_expiry_timestamp_seconds',
    'When the certificate in force expires, in seconds since 1970; of several client CAs, the last one to expire. After that, no client can connect to the review server (server, client-ca) or to the login server (login). Absent without TLS.',
    () => byLabel('certificate', listEnds(certificates)),
  );
  counter(
    'sallyport_config_reloads_total',
    'Reloads of the config, of its certificates and of files of its authenticators, each counted by itself. A rise of failure means that a file on disk was refused, and that what was in force before still is.',
    () => byLabel('result', reloads),
  );
  gauge(
    'sallyport_config_last_reload_successful',
    '1 when the files on disk are in force, as far as they were read. 0 when the last reload of the config, of its certificates or of a file of an authenticator was refused; then a restart would most likely fail too.',
    () => [[{}, refused.count === 0 ? 1 : 0]],
  );
  counter(
    'sallyport_audit_lines_dropped_total',
    'Lines of the audit trail that were dropped because the output is full, fails or is too slow. Any rise means decisions without an audit line.',
    () => [[{}, dropped]],
  );
  return {
    certificates(inForce: Certificates): void {
      certificates = inForce;
    },
    /** Counts a reload. @param accepted whether it is in force; otherwise what was in force before still is */
    reloaded(accepted: boolean): void {
      reloads[accepted ? 'success' : 'failure'] += 1;
    },
    auditLinesDropped(count: number): void {
      dropped += count;
    },
  };
}

/**
 * Finds the end of each certificate, in seconds since 1970. If there are several client CAs, it is the latest end,
 * since clients are trusted until then: during a change of CA the end of the old one is near, and is no reason to page
 * anyone.
 */
function listEnds(certificates: Certificates): Record<string, number> {
  const ends: Record<string, number> = {};
  for (const { certificate, notAfter } of certificates) {
    ends[certificate] = Math.max(ends[certificate] ?? 0, notAfter.getTime() / 1000);
  }
  return ends;
}
