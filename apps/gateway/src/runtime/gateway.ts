import type { Logger } from 'pino';
import { type AdminServer, startAdminServer } from '../admin/admin.ts';
import { createHealth, type Health } from '../admin/health.ts';
import { probeOutput } from '../audit/output.ts';
import { createProvenTokens } from '../chain/admission.ts';
import { isLoopback } from '../config/listen.ts';
import { loadConfig } from '../config/load.ts';
import type { GatewayConfig, ListenAddress } from '../config/types.ts';
import { pause, within } from '../deadlines.ts';
import { createFileWatcher, type FileWatcher } from '../files/watcher.ts';
import { type LoginServer, startLoginServer } from '../login/login-server.ts';
import { readTls, type TlsOfAddresses } from '../login/login-tls.ts';
import { renderMetrics } from '../plugin-metrics/plugin-metrics.ts';
import {
  connectionsWithin,
  createInFlight,
  type InFlight,
  loginConnectionsWithin,
  openFileLimit,
} from '../server/limits.ts';
import { type ReviewServer, startReviewServer } from '../server/review-server.ts';
import { createGeneration, type Generation, type GenerationDependencies } from './generation.ts';
import { createObservers, type Observers } from './observers.ts';
import { createReloader, logCertificateWarnings, logConfigWarnings, type Reloader, type Running } from './reload.ts';
import { createSharedState, type SharedState } from './shared-state.ts';

/** Addresses given on the command line. They override the config's, also after a reload. */
interface ListenOverrides {
  readonly listen?: ListenAddress;
  readonly adminListen?: ListenAddress;
}

export interface GatewayOptions extends ListenOverrides {
  /** Absolute. */
  readonly configFile: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
}

export interface Gateway {
  /** Where reviews are answered, without a path: `https://127.0.0.1:8443`. */
  readonly url: string;
  readonly adminUrl: string;
  /** Reads everything again, now. What can't be used is logged, and what runs stays. */
  reload(): Promise<void>;
  /**
   * Ends without losing a review: unready at once, still answering for `delay` milliseconds (left out:
   * `server.shutdownDelay`), then drained. Later calls wait for the first.
   */
  shutdown(delay?: number): Promise<void>;
}

/** Loads the config, makes the chain, listens. Throws, with nothing left open, when any of it can't be done. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { logger } = options;
  const startedAt = Date.now();
  const load = async () => withListen(await loadConfig(options.configFile, options.environment), options);
  const { config, tls } = await firstConfig(load, logger);
  const inFlight = createInFlight();
  let started: Running | undefined;
  const generation = () => started?.generation;
  const inForce = () => generation()?.config ?? config;
  const redis = () => generation()?.redis;
  const health = createHealth(() => generation()?.links ?? []);
  const observers = createObservers({ config, tls, generation, health, inFlight, shared: () => shared, logger });
  const { registry, act: onAct, sessions } = observers;
  const shared: SharedState = createSharedState({ config: inForce, redis, registry, onAct, logger });
  const own = { proven: createProvenTokens(), onAbandoned: inFlight.hold, sessions, issuing: true };
  const create = (next: GatewayConfig) => createWithAudit(next, { ...shared, ...own, logger });
  const running: Running = { generation: await create(config) };
  started = running;
  const opened = observers
    .start(config)
    .then(shared.start)
    .then(() => listen(running, { inFlight, health, observers, logger, tls }));
  const { reviews, admin, logins } = await opened.catch(async (error: unknown) => {
    await observers.close();
    await shared.stop();
    await running.generation.retire(0);
    throw error;
  });

  const watcher = createFileWatcher();
  const onSwapped = (next: GatewayConfig) => {
    shared.resize(next);
    observers.follow(next);
  };
  const reloader = createReloader({ running, load, create, reviews, logins, observers, watcher, logger, onSwapped });
  await reloader.watch(startedAt);
  health.listening();
  const urls = { url: reviews.url, adminUrl: admin.url, ...(logins && { loginUrl: logins.url }) };
  logger.info({ ...urls, config: config.file }, 'listening');

  const servers = { reviews, logins, admin };
  const stop = createShutdown({ running, health, shared, observers, watcher, reloader, ...servers, logger });
  let ended: Promise<void> | undefined;
  return {
    url: reviews.url,
    adminUrl: admin.url,
    async reload() {
      // Reopening the audit trail waits for no config.
      await Promise.all([observers.reopen(), reloader.reload()]);
    },
    shutdown(delay = running.generation.config.server.shutdownDelay) {
      ended ??= stop(delay);
      return ended;
    },
  };
}

/** @throws Error when `listen` is off loopback and the config has no TLS */
function withListen(config: GatewayConfig, { listen, adminListen }: ListenOverrides): GatewayConfig {
  if (listen !== undefined && config.server.tls === undefined && !isLoopback(listen.host)) {
    throw new Error(
      `--listen ${listen.host}: plain HTTP is allowed on loopback only: set server.tls in ${config.file}`,
    );
  }
  return {
    ...config,
    server: { ...config.server, ...(listen === undefined ? {} : { listen }) },
    admin: { ...config.admin, ...(adminListen === undefined ? {} : { listen: adminListen }) },
  };
}

async function firstConfig(
  load: () => Promise<GatewayConfig>,
  logger: Logger,
): Promise<{ config: GatewayConfig; tls: TlsOfAddresses }> {
  const config = await load();
  logger.level = config.log.level;
  logConfigWarnings(config, logger);
  const tls = await readTls(config);
  logCertificateWarnings(tls, logger);
  return { config, tls };
}

/** An audit trail that can't be written is an error in the config, as an authenticator that can't be made. */
async function createWithAudit(config: GatewayConfig, dependencies: GenerationDependencies): Promise<Generation> {
  if (config.audit !== undefined) await probeOutput(config.audit);
  return createGeneration(config, dependencies);
}

interface ListenDependencies {
  readonly inFlight: InFlight;
  readonly health: Health;
  readonly observers: Pick<Observers, 'registry' | 'reviews' | 'logins' | 'loginsInFlight' | 'statusPage'>;
  readonly logger: Logger;
  readonly tls: TlsOfAddresses;
}

/** Opens all addresses, or none. */
async function listen(
  running: Running,
  { inFlight, health, observers, logger, tls }: ListenDependencies,
): Promise<{ reviews: ReviewServer; admin: AdminServer; logins: LoginServer | undefined }> {
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
      ...{
        config: config.login,
        tls: tls.login,
        limits: loginConnectionsWithin(openFiles),
        logger,
      },
      service: () => running.generation.login,
      inFlight: observers.loginsInFlight,
      observers: observers.logins,
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

interface Parts {
  readonly running: Running;
  readonly health: Health;
  readonly shared: SharedState;
  readonly observers: Pick<Observers, 'close'>;
  readonly watcher: FileWatcher;
  readonly reloader: Reloader;
  readonly reviews: ReviewServer;
  readonly logins: LoginServer | undefined;
  readonly admin: AdminServer;
  readonly logger: Logger;
}

/** Milliseconds that a reload in progress may take before the process ends without it. */
const reloadGrace = 2_000;

function createShutdown(parts: Parts) {
  const { running, health, shared, observers, watcher, reloader, reviews, logins, admin, logger } = parts;
  return async (delay: number): Promise<void> => {
    health.stopping();
    watcher.close();
    logger.info({ delay }, 'shutting down: unready, still answering');
    await pause(delay);
    const drained = { timeout: running.generation.config.server.drainTimeout };
    await Promise.all([reviews.drain(drained), logins?.drain(drained)]);
    await within({ limit: reloadGrace }, reloader.settled).catch(() => undefined);
    await shared.stop();
    await running.generation.retire(0);
    await observers.close();
    await admin.close();
    logger.info({}, 'shut down');
  };
}
