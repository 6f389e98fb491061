import { isDeepStrictEqual } from 'node:util';
import { isLoopback } from '@sallyport/plugin-kit';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { systemClocks } from '../base/clocks.ts';
import { createTurns } from '../base/deadlines.ts';
import { manifest } from '../base/package-files.ts';
import { type Tracer, useTracer } from '../base/tracing/in-span.ts';
import { describeCause } from '../config/problems.ts';
import type { GatewayConfig, TracingConfig } from '../config/types.ts';
import { createFailureLog } from '../engine/chain/failure-log.ts';
import type { RevalidationResult } from '../engine/sessions/session-user.ts';
import type { RefusedSession } from '../engine/sessions/with-sessions.ts';
import { createInFlightCounter, type InFlightCounter } from '../http/limits.ts';
import {
  createLoginLog,
  describeLogin,
  loginActions,
  loginOutcomes,
} from '../login/login-facts.ts';
import { listCertificates, type TlsOfAddresses } from '../login/login-tls.ts';
import type { AuditTrail } from '../observe/audit/trail.ts';
import type { Health } from '../observe/health.ts';
import { createDirectoryMetrics } from '../observe/metrics/directory-metrics.ts';
import type { GatewayMetrics } from '../observe/metrics/gateway-metrics.ts';
import { createLoginMetrics } from '../observe/metrics/login-metrics.ts';
import type { RefusedReloads, ReloadSource } from '../observe/metrics/refused-reloads.ts';
import {
  createLoginCounts,
  createStatusCollector,
  type StatusSources,
} from '../observe/status-page/collector.ts';
import type { OnAccessReview } from '../review/access-report.ts';
import { createReviewLog } from '../review/review-report.ts';
import type { RunningGeneration } from './running.ts';
import type { SharedState } from './shared-state.ts';

/** The parts of a gateway that are observed, and the observers that are made before the others. */
interface ObservedGateway {
  readonly running: RunningGeneration;
  readonly tls: TlsOfAddresses;
  readonly inFlight: Pick<InFlightCounter, 'count'>;
  readonly refused: RefusedReloads;
  readonly metrics: GatewayMetrics;
  readonly audit: AuditTrail;
  readonly shared: SharedState;
  readonly health: Health;
  readonly logger: Logger;
}

export type Observers = ReturnType<typeof createObservers>;

/** Makes what logs, counts, records and shows what the gateway does. */
export function createObservers(gateway: ObservedGateway) {
  const { running, tls, refused, metrics, audit, logger } = gateway;
  const { config } = running;
  const logins = createLoginObservers(metrics.registry, audit, logger);
  const directories = createDirectoryMetrics(metrics.registry);
  const status = createStatusCollector(config, statusSources(gateway, logins.counts));
  const tracing = createTracing(logger);
  const certificates = (current: ReturnType<typeof listCertificates>) => {
    metrics.certificates(current);
    status.certificates(current);
  };
  certificates(listCertificates(tls));
  metrics.follow(config);
  logins.follow(config);
  directories.follow(config);
  return {
    /** The functions that are called with each review, in this order. */
    reviews: [
      createFailureLog(logger, systemClocks.monotonic),
      createReviewLog(logger, systemClocks.monotonic),
      metrics.onReview,
      audit.review,
      status.record,
    ],
    /** The functions that are called with each access review, in this order. */
    accessReviews: [] as readonly OnAccessReview[],
    accessInFlight: createInFlightCounter(),
    logins: logins.observers,
    loginsInFlight: logins.inFlight,
    sessionObserver: logins.sessionObserver,
    onLookedUp: directories.onLookedUp,
    statusPage: { isShown: () => isPageShown(running.config), document: status.document },
    /** @param problems why the reload was refused; none when it is in force */
    reloaded(source: ReloadSource, problems: readonly string[]): void {
      refused.reloaded(source, problems);
      metrics.reloaded(problems.length === 0);
    },
    certificates,
    /** @throws Error when the audit trail can't be written */
    async start(): Promise<void> {
      await tracing(config.tracing);
      await audit.configure(config);
    },
    /** Uses another config. Settings that can't be used are logged, and the previous ones stay in force. */
    follow(next: GatewayConfig): void {
      metrics.follow(next);
      logins.follow(next);
      directories.follow(next);
      status.follow(next);
      void audit.follow(next);
      void tracing(next.tracing);
    },
    /** Opens the file of the audit trail again, since it may have been moved away. */
    reopen: audit.reopen,
    async close(): Promise<void> {
      await Promise.all([audit.close(), tracing(undefined)]);
    },
  };
}

/** Makes what logs, counts and records requests to the login server, and sessions. */
function createLoginObservers(registry: Registry, audit: AuditTrail, logger: Logger) {
  const inFlight = createInFlightCounter();
  const metrics = createLoginMetrics(
    registry,
    { actions: loginActions, outcomes: loginOutcomes },
    () => inFlight.count,
  );
  const { record, revalidated, counts } = createLoginCounts();
  return {
    /** The functions that are called with each request to the login server, in this order. */
    observers: [
      createLoginLog(logger, systemClocks.monotonic),
      metrics.onLogin,
      audit.login,
      record,
    ],
    inFlight,
    sessionObserver: {
      onRefused(refused: RefusedSession): void {
        audit.refusedSession(
          refused,
          describeLogin({ ...refused, address: refused.session.address }),
        );
      },
      onRevalidated(authenticator: string, result: RevalidationResult): void {
        metrics.onRevalidated(authenticator, result);
        revalidated(result);
      },
      onProviderCall: metrics.onProviderCall,
    },
    counts: () => ({ ...counts, inFlight: inFlight.count }),
    follow: metrics.follow,
  };
}

function isPageShown({
  admin: { listen, statusPage = isLoopback(listen.host) },
}: GatewayConfig): boolean {
  return statusPage;
}

function statusSources(gateway: ObservedGateway, logins: StatusSources['logins']): StatusSources {
  const { running, health, inFlight, refused, shared } = gateway;
  const startedAt = Date.now();
  return {
    gateway: () => ({
      version: manifest.version,
      state: health.state,
      startedAt,
      inFlight: inFlight.count,
      maxInFlight: running.config.server.maxInFlight,
    }),
    links: () => running.links,
    logins,
    health: health.authenticators,
    cache() {
      const { redis } = running;
      const { entries } = shared.caching.memory;
      return { entries, ...(redis && { redis: { circuitOpen: redis.isCircuitOpen } }) };
    },
    blocking() {
      const { countBlocks, attempts, caching, listAge: age } = shared;
      const listState =
        age === undefined ? {} : { listAge: Number.isFinite(age) ? age / 1000 : null };
      const lockedOut = running.config.authenticators.reduce(
        (sum, { name }) => sum + attempts.lockedOut(name),
        0,
      );
      return {
        blocked: countBlocks(),
        lockedOut,
        ...listState,
        cutOff: caching.revocations.isCutOff,
      };
    },
    refused: refused.list,
    clocks: systemClocks,
  };
}

/**
 * @returns a function that uses the tracer of another config; undefined ends tracing. It never rejects: the gateway works
 *   without traces
 */
function createTracing(logger: Logger): (config: TracingConfig | undefined) => Promise<void> {
  let current: TracingConfig | undefined;
  let tracer: Tracer | undefined;
  // Changes of the config are handled one at a time, since a process has only one tracer.
  const inTurn = createTurns();
  async function follow(next: TracingConfig | undefined): Promise<void> {
    if (isDeepStrictEqual(next, current)) return;
    current = next;
    useTracer(undefined);
    await tracer?.close();
    // OpenTelemetry is loaded only if it is configured: it is more code than the rest of the gateway.
    const load = () => import('../observe/tracing/open-telemetry.ts');
    tracer = next && (await load()).createOtelTracer(next, manifest.version, logger);
    useTracer(tracer);
  }
  return (next) =>
    inTurn(() => follow(next)).catch((error: unknown) =>
      logger.error({ problems: [describeCause(error)] }, 'tracing could not be started'),
    );
}
