import type { Logger } from '@sallyport/authenticator';
import type { Registry } from 'prom-client';
import { createLoginCounts, type StatusSources } from '../admin/status-page/collector.ts';
import type { AuditTrail } from '../audit/trail.ts';
import { systemClocks } from '../clocks.ts';
import type { GatewayConfig } from '../config/types.ts';
import { createLoginLog, type OnLogin } from '../login/login-report.ts';
import { createLoginMetrics } from '../metrics/login-metrics.ts';
import { createInFlight, type InFlight } from '../server/limits.ts';
import type { SessionObserver } from './assemble-chain.ts';

/** What logs, counts, records and shows what happens at the login server, and to sessions. */
export interface LoginObservers {
  /** Each is called with each request to the login server, in this order. */
  readonly logins: readonly OnLogin[];
  /** Counts them. */
  readonly loginsInFlight: InFlight;
  readonly sessions: SessionObserver;
  /** For the status page. */
  readonly counts: StatusSources['logins'];
  /** Uses another config. */
  follow(config: GatewayConfig): void;
}

export function createLoginObservers(
  config: GatewayConfig,
  { registry, audit, logger }: { registry: Registry; audit: AuditTrail; logger: Logger },
): LoginObservers {
  const loginsInFlight = createInFlight();
  const metrics = createLoginMetrics(registry, () => loginsInFlight.count);
  const { record, revalidated, counts } = createLoginCounts();
  metrics.follow(config);
  return {
    logins: [createLoginLog(logger, systemClocks.monotonic), metrics.onLogin, audit.login, record],
    loginsInFlight,
    sessions: {
      onRefused: audit.refusedSession,
      onRevalidated(authenticator, result) {
        metrics.onRevalidated(authenticator, result);
        revalidated(result);
      },
    },
    counts: () => ({ ...counts, inFlight: loginsInFlight.count }),
    follow: metrics.follow,
  };
}
