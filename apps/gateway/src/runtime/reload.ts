import { isDeepStrictEqual } from 'node:util';
import { durationText } from '@sallyport/plugin-kit';
import type { Logger } from 'pino';
import { createTurns, withTimeLimit } from '../base/deadlines.ts';
import type { FileWatcher, WatchedFile } from '../config/files/watcher.ts';
import { ConfigError, describeCause, describeCauses } from '../config/problems.ts';
import type { GatewayConfig } from '../config/types.ts';
import type { LoginServer } from '../login/login-server.ts';
import { listCertificates, readTls, type TlsOfAddresses } from '../login/login-tls.ts';
import type { ReviewServer } from '../review/review-server.ts';
import type { Generation } from './generation.ts';
import { type createCertificateWarnings, logConfigWarnings } from './log-warnings.ts';
import type { Observers } from './observers.ts';
import type { RunningGeneration } from './running.ts';
import type { SharedState } from './shared-state.ts';

interface ReloadDependencies {
  readonly running: RunningGeneration;
  /** Loads the config. If it throws, the error is logged, and what is in force stays. */
  readonly load: () => Promise<GatewayConfig>;
  readonly makeGeneration: (config: GatewayConfig) => Promise<Generation>;
  readonly reviews: Pick<ReviewServer, 'updateTls'>;
  /** Undefined: there was no login server at the start. */
  readonly logins: Pick<LoginServer, 'updateTls'> | undefined;
  readonly watcher: FileWatcher;
  readonly certificateWarnings: Pick<ReturnType<typeof createCertificateWarnings>, 'load'>;
  readonly logger: Logger;
  readonly observers: Pick<Observers, 'reloaded' | 'certificates' | 'follow'>;
  readonly shared: Pick<SharedState, 'resize'>;
}

/** The thing to reload: the config and all that it names, the certificates alone, or one file of a plugin. */
type Source = 'config' | 'certificates' | WatchedFile;

/** Why the config is reloaded, for its log lines. */
type Cause = 'changed file' | 'SIGHUP';

/** Why a reload was refused. It is empty if the reload took effect. */
type Problems = readonly string[];

/** How long one reload may take, in milliseconds: a plugin may hang in it, and other reloads wait. */
const turnLimit = 30_000;

/** An old chain is closed this long after `reviewTimeout`, even if calls are in progress. Milliseconds. */
const restGrace = 5_000;

/** Reloads the running gateway when its files change: the config and secrets, the certificates, the files of plugins. */
export function createReloader(dependencies: ReloadDependencies) {
  const { running, observers, watcher, logger } = dependencies;
  const turn = createTurns();
  const watches = createWatches(dependencies, inTurn);

  /** Reloads one thing at a time: two swaps must not overlap. A plugin that hangs or throws does not stop the next reload. */
  function inTurn(source: Source, cause: Cause = 'changed file'): Promise<void> {
    return turn(async () => {
      const late = `a reload took longer than ${durationText(turnLimit)}`;
      const work = (signal: AbortSignal) => reload(source, cause, signal);
      const problems = await withTimeLimit(turnLimit, late, work).catch((error) => {
        const problemTexts = [describeCause(error)];
        logger.error({ problems: problemTexts }, 'reload abandoned');
        return problemTexts;
      });
      observers.reloaded(source, problems);
    });
  }

  async function reload(source: Source, cause: Cause, signal: AbortSignal): Promise<Problems> {
    if (source === 'config') return reloadConfig(cause, signal);
    if (source === 'certificates') return reloadCertificates(dependencies);
    return collectProblems(
      source.reload,
      { file: source.file },
      ['file reloaded', 'file reload refused'],
      logger,
    );
  }

  async function reloadConfig(cause: Cause, signal: AbortSignal): Promise<Problems> {
    const since = Date.now();
    let otherFiles: readonly string[] = [];
    let next: GatewayConfig | undefined;
    let refusedFor: Problems = [];
    try {
      next = keepListening(await dependencies.load(), running, logger);
      await swap(next, cause, dependencies, signal);
      await watches.others(since);
    } catch (error) {
      // A refused config may name files that the running one does not: a change of one of them may fix it.
      const named = next === undefined ? [] : [...next.secretFiles, ...tlsFiles(next)];
      otherFiles = error instanceof ConfigError ? [...error.files, ...named] : named;
      const problems = error instanceof ConfigError ? error.problems : [describeCause(error)];
      refusedFor = describeCauses(error);
      logger.error({ file: running.config.file, cause, problems }, 'config reload refused');
    }
    await watches.config(since, otherFiles);
    return refusedFor;
  }

  return {
    /**
     * Begins to watch every file that the running config names.
     *
     * @param since when reading them began, wall clock milliseconds
     */
    async watch(since: number): Promise<void> {
      await watches.config(since);
      await watches.others(since);
    },
    /** Reads everything again, changed or not. Never rejects. */
    async reload(): Promise<void> {
      await inTurn('config', 'SIGHUP');
      // If the config was refused, a changed certificate or token list is still loaded.
      await watcher.scan();
    },
    /** Resolves when no reload is in progress. */
    settled: () => turn(async () => {}),
  };
}

/** Makes the watches of the files in use. Each `since` is when reading them began, wall clock milliseconds. */
function createWatches(
  { running, watcher }: ReloadDependencies,
  onChange: (source: Source) => Promise<void>,
) {
  let endConfig = () => {};
  let endOthers: (() => void)[] = [];
  return {
    /** Watches the config and its secrets. @param refusedFiles files that a refused config names */
    async config(since: number, refusedFiles: readonly string[] = []): Promise<void> {
      const { file, secretFiles } = running.config;
      endConfig();
      endConfig = await watcher.watch([file, ...secretFiles, ...refusedFiles], since, () =>
        onChange('config'),
      );
    },
    /**
     * Watches certificates and the files of plugins. Don't call it after a reload that was refused: a file that has changed
     * since then, and was not loaded, would count as known.
     */
    async others(since: number): Promise<void> {
      const { config, files } = running.generation;
      for (const end of endOthers) end();
      endOthers = await Promise.all([
        watcher.watch(tlsFiles(config), since, () => onChange('certificates')),
        ...files.map((watched) => watcher.watch([watched.file], since, () => onChange(watched))),
      ]);
    },
  };
}

async function reloadCertificates(dependencies: ReloadDependencies): Promise<Problems> {
  const { running, logger } = dependencies;
  const { server, login } = running.config;
  const certFiles = [server.tls?.certFile, login?.tls?.certFile].filter(
    (file) => file !== undefined,
  );
  if (certFiles.length === 0) return [];
  const load = async () =>
    putInForce(await readTls({ server, ...(login && { login }) }), dependencies);
  const fields = certFiles.length === 1 ? { certFile: certFiles[0] } : { certFiles };
  return collectProblems(
    load,
    fields,
    ['certificates reloaded', 'certificate reload refused'],
    logger,
  );
}

async function collectProblems(
  load: () => Promise<void>,
  fields: object,
  [loaded, refused]: readonly [string, string],
  logger: Logger,
): Promise<Problems> {
  try {
    await load();
    logger.info(fields, loaded);
    return [];
  } catch (error) {
    const problems = [describeCause(error)];
    logger.error({ ...fields, problems }, refused);
    return problems;
  }
}

/** Uses certificates from now on. @throws Error when certificate and key do not match: the previous ones stay in force */
function putInForce(
  tls: TlsOfAddresses,
  { reviews, logins, observers, certificateWarnings }: ReloadDependencies,
): void {
  if (tls.server !== undefined) reviews.updateTls(tls.server);
  if (tls.login !== undefined) logins?.updateTls(tls.login);
  observers.certificates(listCertificates(tls));
  certificateWarnings.load(tls);
}

/** Replaces the generation. Everything that can fail comes first; then the new chain replaces the old one in one step. */
async function swap(
  config: GatewayConfig,
  cause: Cause,
  dependencies: ReloadDependencies,
  signal: AbortSignal,
): Promise<void> {
  const { running, makeGeneration, logger, observers, shared } = dependencies;
  const old = running.generation;
  const tls = await readTls(config);
  const generation = await makeGeneration(config);
  try {
    // An abandoned reload must not replace what a later one has put in force.
    signal.throwIfAborted();
    putInForce(tls, dependencies);
  } catch (error) {
    await generation.retire(0);
    throw error;
  }
  running.generation = generation;
  shared.resize(config);
  observers.follow(config);
  logger.level = config.log.level;
  const authenticators = config.authenticators.map(({ name }) => name);
  logger.info({ file: config.file, cause, authenticators }, 'config reloaded');
  logConfigWarnings(config, logger);
  void old.retire(old.config.server.reviewTimeout + restGrace);
}

/** Keeps the addresses, and whether there is TLS on them, until a restart, and logs that. */
function keepListening(
  next: GatewayConfig,
  running: RunningGeneration,
  logger: Logger,
): GatewayConfig {
  const { server, admin } = running.config;
  const now = { server, admin, login: running.listeningLogin };
  const changed = (['server', 'admin', 'login'] as const).flatMap((name) =>
    changedAddress(name, next[name], now[name]),
  );
  if (changed.length === 0) return next;
  logger.warn(
    { changed },
    'some changed settings take effect at the next restart; all others are in force now',
  );
  return {
    ...next,
    server: keepAddress(next.server, now.server),
    admin: keepAddress(next.admin, now.admin),
    ...(next.login && now.login && { login: keepAddress(next.login, now.login) }),
  };
}

type Address = Pick<GatewayConfig['server'], 'listen'> & { readonly tls?: object };

/**
 * Finds changes of an address. A login server that is new in the config listens after a restart; a removed one answers 503
 * until then.
 */
function changedAddress(
  name: string,
  next: Address | undefined,
  now: Address | undefined,
): string[] {
  if (next === undefined || now === undefined) return next === now ? [] : [name];
  return [
    ...(isDeepStrictEqual(next.listen, now.listen) ? [] : [`${name}.listen`]),
    ...((next.tls === undefined) === (now.tls === undefined) ? [] : [`${name}.tls`]),
  ];
}

function keepAddress<One extends Address>(next: One, now: One): One {
  const { tls, ...newAddress } = next;
  const current = tls === undefined || now.tls === undefined ? now.tls : tls;
  return { ...newAddress, listen: now.listen, ...(current && { tls: current }) } as One;
}

function tlsFiles({ server: { tls }, login }: Pick<GatewayConfig, 'server' | 'login'>): string[] {
  const listFiles = (pair: { certFile: string; keyFile: string } | undefined) =>
    pair ? [pair.certFile, pair.keyFile] : [];
  return [
    ...listFiles(tls),
    ...(tls?.client === undefined ? [] : [tls.client.caFile]),
    ...listFiles(login?.tls),
  ];
}
