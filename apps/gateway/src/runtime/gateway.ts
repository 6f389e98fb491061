import { isLoopback } from '@sallyport/plugin-options';
import type { Logger } from 'pino';
import { startAdminServer } from '../admin/admin.ts';
import { createHealth } from '../admin/health.ts';
import { probeOutput } from '../audit/output.ts';
import { createProvenTokens } from '../chain/admission.ts';
import { loadConfig } from '../config/load.ts';
import type { GatewayConfig, ListenAddress } from '../config/types.ts';
import { pause, within } from '../deadlines.ts';
import { createFileWatcher } from '../files/watcher.ts';
import { startLoginServer } from '../login/login-server.ts';
import { readTls, type TlsOfAddresses } from '../login/login-tls.ts';
import { renderMetrics } from '../metrics/plugin-metrics.ts';
import { connectionsWithin, createInFlight, loginConnectionsWithin, openFileLimit } from '../server/limits.ts';
import { startReviewServer } from '../server/review-server.ts';
import { createGeneration } from './generation.ts';
import { createObservers } from './observers.ts';
import { createReloader, logCertificateWarnings, logConfigWarnings, type Running } from './reload.ts';
import { createSharedState } from './shared-state.ts';

export interface GatewayOptions {
  /** Absolute. */
  readonly configFile: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  /** Addresses given on the command line. They override the config's, also after a reload. */
  readonly listen?: ListenAddress;
  readonly adminListen?: ListenAddress;
}

export type Gateway = Awaited<ReturnType<typeof startGateway>>;

/** Milliseconds that a reload in progress may take before the process ends without it. */
const reloadGrace = 2_000;

/** Loads the config, makes the chain, listens. Throws, with nothing left open, when any of it can't be done. */
export async function startGateway(options: GatewayOptions) {
  const { logger } = options;
  const startedAt = Date.now();
  const load = async () => withListen(await loadConfig(options.configFile, options.environment), options);
  const config = await load();
  logger.level = config.log.level;
  logConfigWarnings(config, logger);
  const tls = await readTls(config);
  logCertificateWarnings(tls, logger);
  await using opened = new AsyncDisposableStack();
  const parts = await createParts(config, tls, logger, opened);
  const { running, health, observers } = parts;
  const { reviews, admin, logins } = await listen(parts, tls, logger);
  parts.shared.takePlace();
  const owned = opened.move();

  const watcher = createFileWatcher();
  const reloader = createReloader({ ...parts, load, reviews, logins, watcher, logger });
  await reloader.watch(startedAt);
  health.listening();
  const urls = { url: reviews.url, adminUrl: admin.url, ...(logins && { loginUrl: logins.url }) };
  logger.info({ ...urls, config: config.file }, 'listening');

  async function stop(delay: number): Promise<void> {
    health.stopping();
    watcher.close();
    logger.info({ delay }, 'shutting down: unready, still answering');
    await pause(delay);
    const drained = { timeout: running.generation.config.server.drainTimeout };
    await Promise.all([reviews.drain(drained), logins?.drain(drained)]);
    await within({ limit: reloadGrace }, reloader.settled).catch(() => undefined);
    await owned.disposeAsync();
    await admin.close();
    logger.info({}, 'shut down');
  }
  let ended: Promise<void> | undefined;
  return {
    /** Where reviews are answered, without a path: `https://127.0.0.1:8443`. */
    url: reviews.url,
    adminUrl: admin.url,
    /** Reads everything again, now. What can't be used is logged, and what runs stays. */
    async reload(): Promise<void> {
      // Reopening the audit trail waits for no config.
      await Promise.all([observers.reopen(), reloader.reload()]);
    },
    /**
     * Ends without losing a review: unready at once, still answering for `delay` milliseconds (left out:
     * `server.shutdownDelay`), then drained. Later calls wait for the first.
     */
    shutdown(delay: number = running.generation.config.server.shutdownDelay): Promise<void> {
      ended ??= stop(delay);
      return ended;
    },
  };
}

/** @throws Error when `listen` is off loopback and the config has no TLS */
function withListen(config: GatewayConfig, { listen, adminListen }: GatewayOptions): GatewayConfig {
  if (listen !== undefined && config.server.tls === undefined && !isLoopback(listen.host)) {
    throw new Error(
      `--listen ${listen.host}: plain HTTP is allowed on loopback only: set server.tls in ${config.file}`,
    );
  }
  return {
    ...config,
    server: { ...config.server, ...(listen && { listen }) },
    admin: { ...config.admin, ...(adminListen && { listen: adminListen }) },
  };
}

/** Makes all that answers reviews, and starts what it needs. What must be closed again is in `opened`. */
async function createParts(config: GatewayConfig, tls: TlsOfAddresses, logger: Logger, opened: AsyncDisposableStack) {
  const inFlight = createInFlight();
  let running: Running | undefined;
  const inForce = () => running?.generation ?? { config, links: [], redis: undefined };
  const health = createHealth(
    () => inForce().links,
    () => shared.blocks.isUnknown,
  );
  const observers = createObservers({ tls, inForce, health, inFlight, shared: () => shared, logger });
  const { registry, act, sessions } = observers;
  const shared: ReturnType<typeof createSharedState> = createSharedState(inForce, registry, act, logger);
  const { caching, blocks, ended, attempts } = shared;
  const own = { proven: createProvenTokens(), onAbandoned: inFlight.hold, issuing: true };
  const create = async (next: GatewayConfig) => {
    // An audit trail that can't be written is an error in the config, as an authenticator that can't be made.
    if (next.audit !== undefined) await probeOutput(next.audit);
    return createGeneration(next, { ...own, caching, blocks, ended, attempts, sessions, logger });
  };
  const started: Running = {
    generation: await create(config),
    ...(config.login && { listeningLogin: config.login }),
  };
  running = started;
  opened.defer(observers.close);
  opened.defer(() => started.generation.retire(0));
  opened.defer(shared.stop);
  await observers.start();
  await shared.start();
  return { running: started, create, health, observers, shared, inFlight };
}

/** Opens all addresses, or none. */
async function listen(
  { running, inFlight, health, observers }: Awaited<ReturnType<typeof createParts>>,
  tls: TlsOfAddresses,
  logger: Logger,
) {
  const { config } = running.generation;
  await using opened = new AsyncDisposableStack();
  const admin = await startAdminServer({
    listen: config.admin.listen,
    readiness: health.readiness,
    authenticators: health.authenticators,
    metrics: async () => ({
      contentType: observers.registry.contentType,
      body: await renderMetrics(observers.registry, running.generation.registries),
    }),
    statusPage: observers.statusPage,
    logger,
  });
  opened.defer(() => admin.close());
  const openFiles = await openFileLimit();
  const limits = connectionsWithin(openFiles, logger);
  const logins =
    config.login &&
    (await startLoginServer({
      config: config.login,
      tls: tls.login,
      limits: loginConnectionsWithin(openFiles),
      service: () => running.generation.login,
      inFlight: observers.loginsInFlight,
      observers: observers.logins,
      logger,
    }));
  if (logins) opened.defer(() => logins.close());
  const reviews = await startReviewServer({
    settings: () => running.generation.config.server,
    authenticate: (token, context) => running.generation.authenticate(token, context),
    inFlight,
    observers: observers.reviews,
    logger,
    limits,
    ...(tls.server && { tls: tls.server }),
  });
  opened.move();
  return { reviews, admin, logins };
}
