import { collectDefaultMetrics, Registry } from 'prom-client';
import type { GatewayConfig } from '../config/types.ts';
import type { OnReview } from '../server/review-report.ts';
import type { TlsMaterial } from '../server/tls.ts';
import { type CircuitLink, createAuthenticatorMetrics } from './authenticator-metrics.ts';
import {
  type CertificateMetrics,
  createBuildInfo,
  createCertificateMetrics,
  createReloadMetrics,
  type ReloadMetrics,
} from './process-metrics.ts';
import { createReviewMetrics } from './review-metrics.ts';

/** What the metrics begin with, and what a scrape reads. */
export interface GatewayState {
  readonly config: Pick<GatewayConfig, 'authenticators'>;
  readonly tls: Pick<TlsMaterial, 'certificates'> | undefined;
  /** The number that `server.maxInFlight` limits. */
  readonly inFlight: () => number;
  /** The authenticators of the running chain. */
  readonly links: () => readonly CircuitLink[];
}

/** The gateway's metrics. Those of its caches, its lockout guard and its audit trail are created beside what they count. */
export interface GatewayMetrics extends ReloadMetrics, CertificateMetrics {
  /** Holds the gateway's own metrics: those of plugins have registries of their own. */
  readonly registry: Registry;
  /** Counts a review, and the answer of each authenticator. Never throws. */
  readonly onReview: OnReview;
  /** Counts the authenticators of this config, and no others. */
  follow(config: Pick<GatewayConfig, 'authenticators'>): void;
}

export function createGatewayMetrics(state: GatewayState): GatewayMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  createBuildInfo(registry);
  const reviews = createReviewMetrics(registry, state.inFlight);
  const authenticators = createAuthenticatorMetrics(registry, state.links);
  const certificates = createCertificateMetrics(registry);
  const follow: GatewayMetrics['follow'] = (config) =>
    authenticators.follow(config.authenticators.map(({ name }) => name));
  follow(state.config);
  certificates.certificates(state.tls?.certificates ?? []);
  return {
    registry,
    ...createReloadMetrics(registry),
    ...certificates,
    onReview(report) {
      reviews.record(report);
      for (const answer of report.answers) authenticators.record(answer);
    },
    follow,
  };
}
