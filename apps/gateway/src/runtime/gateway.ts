import { isLoopback } from '@sallyport/plugin-kit';
import type { Logger } from 'pino';
import { systemClocks } from '../base/clocks.ts';
import { pause, within } from '../base/deadlines.ts';
import { createFileWatcher } from '../config/files/watcher.ts';
import { collide } from '../config/listen.ts';
import { loadConfig } from '../config/load.ts';
import { ConfigError, FixableError, SettingError } from '../config/problems.ts';
import type { GatewayConfig, ListenAddress } from '../config/types.ts';
import { createKnownGoodTokens } from '../engine/chain/admission.ts';
import { decideAccess } from '../engine/revocation/access-denial.ts';
import { authority } from '../http/http-server.ts';
import {
  connectionsWithin,
  createInFlightCounter,
  type InFlightCounter,
  openFileLimit,
} from '../http/limits.ts';
import { loginConnectionsWithin } from '../login/limits.ts';
import { startLoginServer } from '../login/login-server.ts';
import { readTls, type TlsOfAddresses } from '../login/login-tls.ts';
import { startAdminServer } from '../observe/admin/admin.ts';
import { digestPath } from '../observe/admin/identity.ts';
import { probeOutput } from '../observe/audit/output.ts';
import { createAuditTrail } from '../observe/audit/trail.ts';
import { createHealth } from '../observe/health.ts';
import { createGatewayMetrics } from '../observe/metrics/gateway-metrics.ts';
import { renderMetrics } from '../observe/metrics/plugin-metrics.ts';
import { createRefusedReloads } from '../observe/metrics/refused-reloads.ts';
import { startReviewServer } from '../review/review-server.ts';
import { createGeneration } from './generation.ts';
import { createCertificateWarnings, logConfigWarnings } from './log-warnings.ts';
import { createObservers, type Observers } from './observers.ts';
import { createReloader } from './reload.ts';
import { createRunningGeneration } from './running.ts';
import { createSharedState, type SharedState } from './shared-state.ts';

export interface GatewayOptions {
  /** The absolute path of the config. */
  readonly configFile: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  /** Addresses given on the command line. They override the config's, also after a reload. */
  readonly listen?: ListenAddress;
  readonly adminListen?: ListenAddress;
  /** Whether an address of the config takes a free port if another process has its own. Addresses of the command line never do. */
  readonly takesAnyPort?: boolean;
}

export type Gateway = Awaited<ReturnType<typeof startGateway>>;

/** How long a shutdown waits for a reload in progress. Milliseconds. */
const reloadGrace = 2_000;

/** Throws errors of values of the config with their lines. */
function throwPlaced(error: unknown, { locate }: Pick<GatewayConfig, 'locate'>): never {
  const causes: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  const problems = causes.map((cause) => {
    if (!(cause instanceof SettingError)) throw error;
    return locate(cause.setting);
  });
  throw new ConfigError(problems, []);
}

/** Loads the config, makes the chain, and listens. @throws Error when any of it can't be done; nothing is left open then */
export async function startGateway(options: GatewayOptions) {
  const { logger } = options;
  const startedAt = Date.now();
  const load = async () =>
    withListen(await loadConfig(options.configFile, options.environment), options);
  const config = await load();
  logger.level = config.log.level;
  logConfigWarnings(config, logger);
  const tls = await readTls(config).catch((error: unknown) => throwPlaced(error, config));
  await using opened = new AsyncDisposableStack();
  const certificateWarnings = opened.use(createCertificateWarnings(logger));
  certificateWarnings.load(tls);
  const gatewayParts = await createParts(config, tls, logger, opened);
  const { running, health, observers } = gatewayParts;
  const { reviews, admin, logins } = await listen(gatewayParts, tls, logger);
  gatewayParts.shared.forgetPredecessors();
  const owned = opened.move();

  const watcher = createFileWatcher();
  const reloader = createReloader({
    ...gatewayParts,
    load,
    certificateWarnings,
    reviews,
    logins,
    watcher,
    logger,
  });
  await reloader.watch(startedAt);
  health.listening();
  const urls = { url: reviews.url, adminUrl: admin.url, ...(logins && { loginUrl: logins.url }) };
  logger.info({ ...urls, config: config.file }, 'listening');

  async function stop(delay: number): Promise<void> {
    health.stopping();
    watcher.close();
    logger.info({ delay }, 'shutting down: unready, still answering');
    await pause(delay);
    const drained = { timeout: running.config.server.drainTimeout };
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
    /** The addresses of the config that other processes listen on, so that free ports were taken. Empty without `takesAnyPort`. */
    takenAddresses: options.takesAnyPort ? findTakenAddresses(config, reviews.url, admin.url) : [],
    /** Reads everything again, now. What can't be used is logged, and what is in force stays. */
    async reload(): Promise<void> {
      // The audit trail is opened again even if the config is refused.
      await Promise.all([observers.reopen(), reloader.reload()]);
    },
    /**
     * Ends without losing a review: it is unready immediately, still answers for `delay` milliseconds (default:
     * `server.shutdownDelay`), and then drains. Later calls wait for the first.
     */
    shutdown(delay: number = running.config.server.shutdownDelay): Promise<void> {
      ended ??= stop(delay);
      return ended;
    },
  };
}

function findTakenAddresses(
  { server, admin }: GatewayConfig,
  url: string,
  adminUrl: string,
): readonly string[] {
  const addresses: readonly [ListenAddress, string][] = [
    [server.listen, url],
    [admin.listen, adminUrl],
  ];
  return addresses
    .filter(([{ orAnyPort, port }, usedUrl]) => orAnyPort && !usedUrl.endsWith(`:${port}`))
    .map(([{ host, port }]) => authority(host, port));
}

/** @throws FixableError when `listen` is off loopback and the config has no TLS */
function withListen(
  config: GatewayConfig,
  { listen, adminListen, takesAnyPort }: GatewayOptions,
): GatewayConfig {
  if (listen !== undefined && config.server.tls === undefined && !isLoopback(listen.host)) {
    throw new FixableError(
      `--listen ${authority(listen.host, listen.port)}: plain HTTP is allowed on loopback only`,
      `write --listen 127.0.0.1:${listen.port}, or set server.tls in ${config.file}`,
    );
  }
  const reviewAddress = listen ?? config.server.listen;
  const adminAddress = adminListen ?? config.admin.listen;
  if ((listen ?? adminListen) !== undefined && collide(reviewAddress, adminAddress)) {
    const { host, port } = adminAddress;
    throw new FixableError(
      `${adminListen === undefined ? 'admin.listen' : '--admin-listen'} ${authority(host, port)} is also the address for token reviews`,
      `write --listen and --admin-listen with two ports`,
    );
  }
  const anyPort = takesAnyPort && ({ orAnyPort: true } as const);
  return {
    ...config,
    server: { ...config.server, listen: { ...reviewAddress, ...(!listen && anyPort) } },
    admin: { ...config.admin, listen: { ...adminAddress, ...(!adminListen && anyPort) } },
  };
}

/** Makes all parts that answer reviews, and starts what they need. `opened` closes them again. */
async function createParts(
  config: GatewayConfig,
  tls: TlsOfAddresses,
  logger: Logger,
  opened: AsyncDisposableStack,
) {
  const running = createRunningGeneration(config);
  const inFlight = createInFlightCounter();
  const refused = createRefusedReloads(systemClocks.wall);
  const metrics = createGatewayMetrics(running, inFlight, refused);
  const audit = createAuditTrail(logger, metrics.auditLinesDropped);
  const shared = createSharedState(running, metrics.registry, audit.adminAction, logger);
  const health = createHealth(
    () => running.links,
    () => shared.blocks.isUnknown,
  );
  const observers = createObservers({
    running,
    tls,
    inFlight,
    refused,
    metrics,
    audit,
    shared,
    health,
    logger,
  });
  const makeGeneration = createGenerations(inFlight, shared, observers, logger);
  running.generation = await makeGeneration(config);
  opened.defer(observers.close);
  opened.defer(() => running.generation.retire(0));
  opened.defer(shared.stop);
  await observers.start();
  await shared.start();
  return { running, makeGeneration, health, metrics, observers, shared, inFlight };
}

/** @returns a function that makes the generation of a config. All generations share what outlives a reload */
function createGenerations(
  inFlight: InFlightCounter,
  shared: SharedState,
  { sessionObserver, onLookedUp }: Observers,
  logger: Logger,
) {
  const { caching, blocks, ended, attempts } = shared;
  const knownGood = createKnownGoodTokens();
  const dependencies = {
    caching,
    blocks,
    ended,
    attempts,
    knownGood,
    sessionObserver,
    onLookedUp,
    onAbandoned: inFlight.hold,
    logger,
    loginRevocations: caching.revocations,
  };
  return async (config: GatewayConfig) => {
    // An audit trail that can't be written is an error in the config, like an authenticator that can't be made.
    if (config.audit !== undefined) await probeOutput(config.audit);
    return createGeneration(config, dependencies);
  };
}

/** Opens all addresses, or none. */
async function listen(
  {
    running,
    inFlight,
    health,
    metrics,
    observers,
    shared,
  }: Awaited<ReturnType<typeof createParts>>,
  tls: TlsOfAddresses,
  logger: Logger,
) {
  const { config } = running;
  await using opened = new AsyncDisposableStack();
  const addresses: ListenAddress[] = [];
  const admin = await startAdminServer({
    listen: config.admin.listen,
    identity: () => ({ config: digestPath(config.file), addresses }),
    readiness: health.readiness,
    authenticators: health.authenticators,
    metrics: async () => ({
      contentType: metrics.registry.contentType,
      body: await renderMetrics(metrics.registry, running.generation.registries),
    }),
    statusPage: observers.statusPage,
    logger,
  });
  opened.defer(() => admin.close());
  addresses.push({ host: config.admin.listen.host, port: admin.port });
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
  if (config.login && logins) addresses.push({ host: config.login.listen.host, port: logins.port });
  const reviews = await startReviewServer({
    settings: () => running.config.server,
    authenticate: (token, context) => running.generation.authenticate(token, context),
    inFlight,
    access: {
      decide: (subject) => decideAccess(shared.blocks, shared.ended, subject),
      inFlight: observers.accessInFlight,
      observers: observers.accessReviews,
    },
    observers: observers.reviews,
    logger,
    limits,
    ...(tls.server && { tls: tls.server }),
  });
  opened.move();
  addresses.push({ host: config.server.listen.host, port: reviews.port });
  return { reviews, admin, logins };
}
