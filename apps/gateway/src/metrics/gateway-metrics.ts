import { collectDefaultMetrics, Registry } from 'prom-client';
import type { GuardedLink } from '../chain/guard.ts';
import type { GatewayConfig } from '../config/types.ts';
import type { OnReview } from '../server/review-report.ts';
import type { TlsMaterial } from '../server/tls.ts';
import { createAuthenticatorMetrics } from './authenticator-metrics.ts';
import { createBuildInfo } from './build-info.ts';
import { type CertificateMetrics, createCertificateMetrics } from './certificate-metrics.ts';
import { createReloadMetrics, type ReloadMetrics } from './reload-metrics.ts';
import { createReviewMetrics } from './review-metrics.ts';

/** What it begins with, and what is looked at when Prometheus asks. */
export interface GatewayState {
  readonly config: Pick<GatewayConfig, 'authenticators'>;
  readonly tls: Pick<TlsMaterial, 'certificates'> | undefined;
  /** What `server.maxInFlight` bounds. */
  readonly inFlight: () => number;
  /** Those of the chain that runs. */
  readonly links: () => readonly Pick<GuardedLink, 'name' | 'guard'>[];
}

/** The gateway's metrics, but for those of its caches: see `createCacheMetrics`. */
export interface GatewayMetrics extends ReloadMetrics, CertificateMetrics {
  /** The gateway's own: those of plugins have registries of their own. */
  readonly registry: Registry;
  /** Counts a review, and what each authenticator said to it. Never throws. */
  readonly onReview: OnReview;
  /** The authenticators of this config are counted from now on, and no others. */
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
