import type { Logger } from 'pino';
import type { Health } from '../admin/health.ts';
import { createStatusCollector, type StatusCollector, type StatusSources } from '../admin/status-page/collector.ts';
import type { StatusPageSource } from '../admin/status-page/route.ts';
import { createAuditTrail } from '../audit/trail.ts';
import { createFailureLog } from '../chain/failure-log.ts';
import { systemClocks } from '../clocks.ts';
import { isLoopback } from '../config/listen.ts';
import { causeOf } from '../config/problems.ts';
import type { GatewayConfig, TracingConfig } from '../config/types.ts';
import { certificatesOf, type TlsOfAddresses } from '../login/login-tls.ts';
import { createGatewayMetrics, type GatewayMetrics } from '../metrics/gateway-metrics.ts';
import type { ReloadSource } from '../metrics/process-metrics.ts';
import { createAuditMetrics } from '../metrics/process-metrics.ts';
import { manifest } from '../package-files.ts';
import type { Entry } from '../revocation/list.ts';
import type { InFlight } from '../server/limits.ts';
import { createReviewLog, type OnReview } from '../server/review-report.ts';
import type { TlsMaterial } from '../server/tls.ts';
import { type Tracer, useTracer } from '../tracing/in-span.ts';
import type { Generation } from './generation.ts';
import { createLoginObservers, type LoginObservers } from './login-observers.ts';
import type { SharedState } from './shared-state.ts';

/** What logs, counts, records and shows what the gateway does. */
export interface Observers extends Pick<LoginObservers, 'logins' | 'loginsInFlight' | 'sessions'> {
  /** Each is called with each review, in this order. */
  readonly reviews: readonly OnReview[];
  readonly registry: GatewayMetrics['registry'];
  readonly statusPage: StatusPageSource;
  /** Records what an administrator did. */
  readonly act: (entry: Entry) => void;
  /** @param problems why the reload was refused; none when it is in force */
  reloaded(source: ReloadSource, problems: readonly string[]): void;
  /** These are in force from now on. */
  certificates(certificates: TlsMaterial['certificates']): void;
  /** @throws Error when the audit trail can't be written */
  start(config: GatewayConfig): Promise<void>;
  /** Uses another config. What it can't use is logged, and what was in force stays. */
  follow(config: GatewayConfig): void;
  /** Opens the file of the audit trail again: it may have been moved away. */
  reopen(): Promise<void>;
  /** Writes and sends what waits. */
  close(): Promise<void>;
}

/** What they look at. */
export interface ObservedGateway {
  /** The config at the start. */
  readonly config: GatewayConfig;
  readonly tls: TlsOfAddresses;
  /** The one in force; undefined until there is one. */
  readonly generation: () => Generation | undefined;
  readonly health: Health;
  readonly inFlight: Pick<InFlight, 'count'>;
  /** Its metrics are in the registry of the observers, so it is made after them. */
  readonly shared: () => Pick<SharedState, 'caching' | 'blocks' | 'listAge' | 'attempts'>;
  readonly logger: Logger;
}

export function createObservers(gateway: ObservedGateway): Observers {
  const { config, generation, inFlight, logger } = gateway;
  const atStart = certificatesOf(gateway.tls);
  const links = () => generation()?.links ?? [];
  const metrics = createGatewayMetrics({
    config,
    tls: { certificates: atStart },
    links,
    inFlight: () => inFlight.count,
  });
  const audit = createAuditTrail({ logger, onDropped: createAuditMetrics(metrics.registry) });
  const own = createLoginObservers(config, { registry: metrics.registry, audit, logger });
  const status = createStatusCollector(config, { ...statusSources(gateway), logins: own.counts });
  const tracing = createTracing(logger);
  const certificates: Observers['certificates'] = (inForce) => {
    metrics.certificates(inForce);
    status.certificates(inForce);
  };
  status.certificates(atStart);
  return {
    reviews: [
      createFailureLog(logger, systemClocks.monotonic),
      createReviewLog(logger, systemClocks.monotonic),
      metrics.onReview,
      audit.record,
      status.record,
    ],
    ...{ logins: own.logins, loginsInFlight: own.loginsInFlight, sessions: own.sessions },
    registry: metrics.registry,
    statusPage: statusPageOf(status, () => generation()?.config ?? config),
    act: audit.act,
    reloaded(source, problems) {
      metrics.reloaded(source, problems.length === 0);
      status.reloaded(source, problems);
    },
    certificates,
    async start(first) {
      await tracing.apply(first);
      await audit.configure(first);
    },
    follow(next) {
      metrics.follow(next);
      own.follow(next);
      status.follow(next);
      void audit.follow(next);
      void tracing.apply(next);
    },
    reopen: audit.reopen,
    async close() {
      await Promise.all([audit.close(), tracing.close()]);
    },
  };
}

function statusPageOf({ document }: StatusCollector, running: () => GatewayConfig): StatusPageSource {
  return {
    isShown() {
      const { listen, statusPage = isLoopback(listen.host) } = running().admin;
      return statusPage;
    },
    document,
  };
}

function statusSources({
  config,
  generation,
  health,
  inFlight,
  shared,
}: ObservedGateway): Omit<StatusSources, 'logins'> {
  const startedAt = Date.now();
  const running = () => generation()?.config ?? config;
  return {
    gateway: () => ({
      version: manifest.version,
      state: health.state,
      startedAt,
      inFlight: inFlight.count,
      maxInFlight: running().server.maxInFlight,
    }),
    links: () => generation()?.links ?? [],
    health: health.authenticators,
    cache() {
      const redis = generation()?.redis;
      return {
        entries: shared().caching.memory.entries,
        ...(redis && { redis: { circuitOpen: redis.isCircuitOpen } }),
      };
    },
    blocking() {
      const { blocks, attempts, caching, listAge: age } = shared();
      const read = age === undefined ? {} : { listAge: Number.isFinite(age) ? age / 1000 : null };
      const lockedOut = running().authenticators.reduce((sum, { name }) => sum + attempts.lockedOut(name), 0);
      return { blocked: blocks.blocks.length, lockedOut, ...read, cutOff: caching.revocations.isCutOff };
    },
    clocks: systemClocks,
  };
}

/** The tracer of the config in force. */
interface Tracing {
  /** Never rejects: the gateway works without traces. */
  apply(config: Pick<GatewayConfig, 'tracing'>): Promise<void>;
  /** Sends what waits. Never rejects. */
  close(): Promise<void>;
}

function createTracing(logger: Logger): Tracing {
  let current: TracingConfig | undefined;
  let tracer: Tracer | undefined;
  let queue: Promise<void> = Promise.resolve();

  async function follow(next: TracingConfig | undefined): Promise<void> {
    if (JSON.stringify(next) === JSON.stringify(current)) return;
    current = next;
    useTracer(undefined);
    await tracer?.close();
    tracer = next && (await createTracer(next, logger));
    useTracer(tracer);
  }
  /** One at a time: a process has one context of traces. */
  const inTurn = (next: TracingConfig | undefined): Promise<void> => {
    queue = queue
      .then(() => follow(next))
      .catch((error: unknown) => logger.error({ problems: [causeOf(error)] }, 'tracing could not be started'));
    return queue;
  };
  return {
    apply: ({ tracing }) => inTurn(tracing),
    close: () => inTurn(undefined),
  };
}

async function createTracer(config: TracingConfig, logger: Logger): Promise<Tracer> {
  // Loaded only where it is configured: it is more code than the rest of the gateway.
  const { createOtelTracer } = await import('../tracing/open-telemetry.ts');
  return createOtelTracer(config, manifest.version, logger);
}
