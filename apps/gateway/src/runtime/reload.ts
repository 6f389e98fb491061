import type { Logger } from 'pino';
import type { StatusCollector } from '../admin/status-page/collector.ts';
import { ConfigError, causeOf, formatProblem } from '../config/problems.ts';
import type { GatewayConfig, ListenAddress } from '../config/types.ts';
import type { WatchedFile } from '../files/watched-file.ts';
import type { FileWatcher } from '../files/watcher.ts';
import type { CertificateMetrics, ReloadMetrics, ReloadSource } from '../metrics/process-metrics.ts';
import type { ReviewServer } from '../server/listener.ts';
import { readTlsMaterial, type TlsMaterial } from '../server/tls.ts';
import type { Generation } from './generation.ts';
import { withTimeLimit } from './time-limit.ts';
import { createWatches, tlsFiles } from './watches.ts';

/** What runs now; a reload puts another in its place, whole. */
export interface Running {
  generation: Generation;
}

export interface ReloadDependencies {
  readonly running: Running;
  /** @throws ConfigError and others: the reason goes to the log and what runs stays */
  readonly load: () => Promise<GatewayConfig>;
  readonly create: (config: GatewayConfig) => Promise<Generation>;
  readonly reviews: Pick<ReviewServer, 'updateTls'>;
  readonly metrics: ReloadMetrics & CertificateMetrics;
  readonly watcher: FileWatcher;
  readonly logger: Logger;
  /** Told of each reload, with the problems of one that was refused; and of certificates that are in force from now on. */
  readonly status: Pick<StatusCollector, 'reloaded' | 'certificates'>;
  /** Told of each config once it runs. */
  readonly onSwapped: (config: GatewayConfig) => void;
}

export interface Reloader {
  /** Begins to watch every file that the running config names. `since`: when reading them began, wall clock ms. */
  watch(since: number): Promise<void>;
  /** Reads everything anew, changed or not. Never rejects. */
  reload(): Promise<void>;
  /** Resolves when no reload is under way. */
  settled(): Promise<void>;
}

/** Why it was refused; none when it is in force. */
type Problems = readonly string[];

/** How long one reload may take, in milliseconds: a plugin may hang in it, and others wait. */
const turnLimit = 30_000;

/** How long an old chain may take to come to rest, beyond `reviewTimeout`, before it is closed all the same. In ms. */
const restGrace = 5_000;

/** Keeps what runs up with the files it was made from: config and secrets, certificates, the plugins' own. */
export function createReloader(dependencies: ReloadDependencies): Reloader {
  const { running, metrics, status, watcher, logger } = dependencies;
  let queue: Promise<void> = Promise.resolve();

  /** One at a time: two swaps must not cross. Nothing that a plugin does or leaves undone holds up the next. */
  const inTurn = (source: ReloadSource, work: (signal: AbortSignal) => Promise<Problems>): Promise<void> => {
    queue = queue.then(async () => {
      const late = `a reload took longer than ${turnLimit / 1000} s`;
      const problems = await withTimeLimit(turnLimit, late, work).catch((error: unknown) => {
        const given = [causeOf(error)];
        logger.error({ problems: given }, 'reload given up');
        return given;
      });
      metrics.reloaded(source, problems.length === 0);
      status.reloaded(source, problems);
    });
    return queue;
  };

  const watches = createWatches(watcher, {
    config: () => inTurn('config', reloadConfig),
    certificates: () => inTurn('certificates', () => reloadCertificates(dependencies)),
    file: (one) => inTurn(one, () => reloadFile(one, logger)),
  });

  /** This and the others. */
  async function reloadConfig(signal: AbortSignal): Promise<Problems> {
    const since = Date.now();
    let others: readonly string[] = [];
    let next: GatewayConfig | undefined;
    let refusedFor: Problems = [];
    try {
      next = keepListening(await dependencies.load(), running.generation.config, logger);
      await swap(next, dependencies, signal);
      await watches.others(running.generation, since);
    } catch (error) {
      others = filesOfRefused(next, error);
      const problems = error instanceof ConfigError ? error.problems : [causeOf(error)];
      refusedFor = error instanceof ConfigError ? error.problems.map(formatProblem) : [causeOf(error)];
      logger.error({ file: running.generation.config.file, problems }, 'config reload refused');
    }
    await watches.config(running.generation, since, others);
    return refusedFor;
  }

  return {
    async watch(since) {
      await watches.config(running.generation, since);
      await watches.others(running.generation, since);
    },
    async reload() {
      await inTurn('config', reloadConfig);
      // Where that was refused, a certificate or a token list is taken in all the same.
      await watcher.scan();
    },
    settled: () => queue,
  };
}

async function reloadCertificates(dependencies: ReloadDependencies): Promise<Problems> {
  const { running, logger } = dependencies;
  const { tls } = running.generation.config.server;
  if (tls === undefined) return [];
  try {
    putInForce(await readTlsMaterial(tls), dependencies);
    logger.info({ certFile: tls.certFile }, 'certificates reloaded');
    return [];
  } catch (error) {
    const problems = [causeOf(error)];
    logger.error({ certFile: tls.certFile, problems }, 'certificate reload refused');
    return problems;
  }
}

/** @throws Error when it does not fit: what was in force stays */
function putInForce(material: TlsMaterial, { reviews, metrics, status, logger }: ReloadDependencies): void {
  reviews.updateTls(material);
  metrics.certificates(material.certificates);
  status.certificates(material.certificates);
  logCertificateWarnings(material, logger);
}

async function reloadFile({ file, reload }: WatchedFile, logger: Logger): Promise<Problems> {
  try {
    await reload();
    logger.info({ file }, 'file reloaded');
    return [];
  } catch (error) {
    const problems = [causeOf(error)];
    logger.error({ file, problems }, 'file reload refused');
    return problems;
  }
}

/** A refused config may name files that the running one does not: one of them may be the mend. */
function filesOfRefused(config: GatewayConfig | undefined, error: unknown): readonly string[] {
  return [
    ...(error instanceof ConfigError ? error.files : []),
    ...(config === undefined ? [] : [...config.secretFiles, ...tlsFiles(config.server.tls)]),
  ];
}

/** All that can fail comes first; then the old chain and the new one change places in one step. */
async function swap(config: GatewayConfig, dependencies: ReloadDependencies, signal: AbortSignal): Promise<void> {
  const { running, create, logger, onSwapped } = dependencies;
  const old = running.generation;
  const { tls } = config.server;
  const material = tls === undefined ? undefined : await readTlsMaterial(tls);
  const generation = await create(config);
  try {
    // Given up, it must not take the place of what a later reload has put there.
    signal.throwIfAborted();
    if (material !== undefined) putInForce(material, dependencies);
  } catch (error) {
    await generation.retire(0);
    throw error;
  }
  running.generation = generation;
  onSwapped(config);
  logger.level = config.log.level;
  logger.info({ file: config.file, authenticators: config.authenticators.map(({ name }) => name) }, 'config reloaded');
  logConfigWarnings(config, logger);
  void old.retire(old.config.server.reviewTimeout + restGrace);
}

/** Logs what works in the config but should be changed. */
export function logConfigWarnings({ warnings }: GatewayConfig, logger: Logger): void {
  for (const problem of warnings) logger.warn({ problem }, 'config warning');
}

/** What of the certificates will not last, or will not do for everybody. */
export function logCertificateWarnings({ warnings }: TlsMaterial, logger: Logger): void {
  for (const warning of warnings) logger.warn({}, warning);
}

/** Addresses, and whether there is TLS on them, stay as they are until a restart; the log says so. */
function keepListening(next: GatewayConfig, now: GatewayConfig, logger: Logger): GatewayConfig {
  const { server, admin } = now;
  const changed = [
    ...(sameAddress(next.server.listen, server.listen) ? [] : ['server.listen']),
    ...(sameAddress(next.admin.listen, admin.listen) ? [] : ['admin.listen']),
    ...((next.server.tls === undefined) === (server.tls === undefined) ? [] : ['server.tls']),
  ];
  if (changed.length === 0) return next;
  logger.warn({ changed }, `${changed.join(', ')} changed: takes effect at the next restart, the rest at once`);
  const { tls, ...rest } = next.server;
  const kept = tls === undefined || server.tls === undefined ? server.tls : tls;
  return {
    ...next,
    server: { ...rest, listen: server.listen, ...(kept === undefined ? {} : { tls: kept }) },
    admin: { ...next.admin, listen: admin.listen },
  };
}

function sameAddress(one: ListenAddress, other: ListenAddress): boolean {
  return one.host === other.host && one.port === other.port;
}
