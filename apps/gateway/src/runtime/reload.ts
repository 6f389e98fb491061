import type { Logger } from 'pino';
import { ConfigError, causeOf } from '../config/problems.ts';
import type { GatewayConfig, ListenAddress } from '../config/types.ts';
import type { FileWatcher } from '../files/watcher.ts';
import type { ReviewServer } from '../server/listener.ts';
import { readTlsMaterial, type TlsMaterial } from '../server/tls.ts';
import type { Generation } from './generation.ts';
import type { WatchedFile } from './watched-file.ts';

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
  readonly watcher: FileWatcher;
  readonly logger: Logger;
}

export interface Reloader {
  /** Begins to watch every file that the running config names. `since`: when reading them began, wall clock ms. */
  watch(since: number): Promise<void>;
  /** Reads everything anew, changed or not. Never rejects. */
  reload(): Promise<void>;
  /** Resolves when no reload is under way. */
  settled(): Promise<void>;
}

/** How long an old chain may take to come to rest, beyond `reviewTimeout`, before it is closed all the same. In ms. */
const restGrace = 5_000;

/** Keeps what runs up with the files it was made from: config and secrets, certificates, the plugins' own. */
export function createReloader(dependencies: ReloadDependencies): Reloader {
  const { running, watcher, logger } = dependencies;
  let queue: Promise<void> = Promise.resolve();
  let unwatch: (() => void)[] = [];

  /** One at a time: two swaps must not cross. */
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    queue = queue.then(work);
    return queue;
  };

  async function watch(since: number, others: readonly string[] = []): Promise<void> {
    for (const end of unwatch) end();
    const { config, files } = running.generation;
    const { tls } = config.server;
    unwatch = [
      await watcher.watch([config.file, ...config.secretFiles, ...others], since, () => inTurn(reloadConfig)),
      await watcher.watch(config.pluginFiles, since, async () => {
        logger.warn({ files: config.pluginFiles }, 'a plugin has changed on disk: takes effect at the next restart');
      }),
      ...(tls === undefined ? [] : [await watcher.watch(tlsFiles(tls), since, () => inTurn(reloadCertificates))]),
      ...(await Promise.all(files.map((one) => watcher.watch([one.file], since, () => inTurn(() => reloadFile(one)))))),
    ];
  }

  async function reloadConfig(): Promise<void> {
    const since = Date.now();
    let others: readonly string[] = [];
    let next: GatewayConfig | undefined;
    try {
      next = keepListening(await dependencies.load(), running.generation.config, logger);
      await swap(next, dependencies);
    } catch (error) {
      others = filesOfRefused(next, error);
      const problems = error instanceof ConfigError ? error.problems : [causeOf(error)];
      logger.error({ file: running.generation.config.file, problems }, 'config reload refused');
    }
    await watch(since, others);
  }

  async function reloadCertificates(): Promise<void> {
    const { tls } = running.generation.config.server;
    if (tls === undefined) return;
    try {
      const material = await readTlsMaterial(tls);
      dependencies.reviews.updateTls(material);
      logCertificateWarnings(material, logger);
      logger.info({ certFile: tls.certFile }, 'certificates reloaded');
    } catch (error) {
      logger.error({ certFile: tls.certFile, problems: [causeOf(error)] }, 'certificate reload refused');
    }
  }

  async function reloadFile({ file, reload }: WatchedFile): Promise<void> {
    try {
      await reload();
      logger.info({ file }, 'file reloaded');
    } catch (error) {
      logger.error({ file, problems: [causeOf(error)] }, 'file reload refused');
    }
  }

  return { watch, reload: () => inTurn(reloadConfig), settled: () => queue };
}

/** A refused config may name files that the running one does not: one of them may be the mend. */
function filesOfRefused(config: GatewayConfig | undefined, error: unknown): readonly string[] {
  return [
    ...(error instanceof ConfigError ? error.files : []),
    ...(config === undefined ? [] : [...config.secretFiles, ...tlsFiles(config.server.tls)]),
  ];
}

/** All that can fail comes first; then the old chain and the new one change places in one step. */
async function swap(config: GatewayConfig, { running, create, reviews, logger }: ReloadDependencies): Promise<void> {
  const old = running.generation;
  const { tls } = config.server;
  const material = tls === undefined ? undefined : await readTlsMaterial(tls);
  const generation = await create(config);
  try {
    if (material !== undefined) {
      reviews.updateTls(material);
      logCertificateWarnings(material, logger);
    }
  } catch (error) {
    await generation.retire(0);
    throw error;
  }
  running.generation = generation;
  logger.level = config.log.level;
  logger.info({ file: config.file, authenticators: config.authenticators.map(({ name }) => name) }, 'config reloaded');
  for (const { name, package: from } of config.authenticators.filter(({ needsRestart }) => needsRestart)) {
    logger.warn(
      { authenticator: name, package: from },
      'the plugin has changed on disk: takes effect at the next restart',
    );
  }
  void old.retire(old.config.server.reviewTimeout + restGrace);
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

function tlsFiles(tls: GatewayConfig['server']['tls']): string[] {
  if (tls === undefined) return [];
  return [tls.certFile, tls.keyFile, ...(tls.client === undefined ? [] : [tls.client.caFile])];
}
