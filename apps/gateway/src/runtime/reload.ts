import type { Logger } from 'pino';
import { ConfigError, causeOf, formatProblem } from '../config/problems.ts';
import type { GatewayConfig, ListenAddress, LoginConfig } from '../config/types.ts';
import { withTimeLimit } from '../deadlines.ts';
import type { WatchedFile } from '../files/watched-file.ts';
import type { FileWatcher } from '../files/watcher.ts';
import type { LoginServer } from '../login/login-server.ts';
import { certificatesOf, readTls, type TlsOfAddresses } from '../login/login-tls.ts';
import type { ReloadSource } from '../metrics/process-metrics.ts';
import type { ReviewServer } from '../server/review-server.ts';
import type { Generation } from './generation.ts';
import type { Observers } from './observers.ts';

/** What runs now. A reload replaces it as a whole. */
export interface Running {
  generation: Generation;
}

export interface ReloadDependencies {
  readonly running: Running;
  /** What it throws is logged, and what runs stays. */
  readonly load: () => Promise<GatewayConfig>;
  readonly create: (config: GatewayConfig) => Promise<Generation>;
  readonly reviews: Pick<ReviewServer, 'updateTls'>;
  /** Undefined: there was no login server at the start. */
  readonly logins: Pick<LoginServer, 'updateTls'> | undefined;
  readonly watcher: FileWatcher;
  readonly logger: Logger;
  readonly observers: Pick<Observers, 'reloaded' | 'certificates'>;
  /** Called with each config once it runs. */
  readonly onSwapped: (config: GatewayConfig) => void;
}

export interface Reloader {
  /** Begins to watch every file that the running config names. `since`: when reading them began, wall clock ms. */
  watch(since: number): Promise<void>;
  /** Reads everything again, changed or not. Never rejects. */
  reload(): Promise<void>;
  /** Resolves when no reload is in progress. */
  settled(): Promise<void>;
}

/** Why a reload was refused; none when it is in force. */
type Problems = readonly string[];

/** Milliseconds that one reload may take: a plugin may hang in it, and others wait. */
const turnLimit = 30_000;

/** Milliseconds beyond `reviewTimeout` that an old chain may take to finish before it is closed anyway. */
const restGrace = 5_000;

/** Reloads what runs when the files change that it was made from: config and secrets, certificates, the plugins' own. */
export function createReloader(dependencies: ReloadDependencies): Reloader {
  const { running, observers, watcher, logger } = dependencies;
  let queue: Promise<void> = Promise.resolve();

  /** One at a time: two swaps must not cross. Nothing that a plugin does or fails to do stops the next one. */
  const inTurn = (source: ReloadSource, work: (signal: AbortSignal) => Promise<Problems>): Promise<void> => {
    queue = queue.then(async () => {
      const late = `a reload took longer than ${turnLimit / 1000}s`;
      const problems = await withTimeLimit(turnLimit, late, work).catch((error: unknown) => {
        const given = [causeOf(error)];
        logger.error({ problems: given }, 'reload abandoned');
        return given;
      });
      observers.reloaded(source, problems);
    });
    return queue;
  };

  const watches = createWatches(watcher, {
    config: () => inTurn('config', reloadConfig),
    certificates: () => inTurn('certificates', () => reloadCertificates(dependencies)),
    file: (one) => inTurn(one, () => reloadFile(one, logger)),
  });

  /** The config, and everything that it names. */
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
      // Where that was refused, a changed certificate or token list is still loaded.
      await watcher.scan();
    },
    settled: () => queue,
  };
}

async function reloadCertificates(dependencies: ReloadDependencies): Promise<Problems> {
  const { running, logger } = dependencies;
  const { server, login } = running.generation.config;
  const certFiles = [server.tls?.certFile, login?.tls?.certFile].filter((file) => file !== undefined);
  if (certFiles.length === 0) return [];
  const load = async () => putInForce(await readTls({ server, ...(login && { login }) }), dependencies);
  const fields = certFiles.length === 1 ? { certFile: certFiles[0] } : { certFiles };
  return problemsOf(load, fields, ['certificates reloaded', 'certificate reload refused'], logger);
}

function reloadFile({ file, reload }: WatchedFile, logger: Logger): Promise<Problems> {
  return problemsOf(reload, { file }, ['file reloaded', 'file reload refused'], logger);
}

/** @param messages when it was loaded, and when it was refused */
async function problemsOf(
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
    const problems = [causeOf(error)];
    logger.error({ ...fields, problems }, refused);
    return problems;
  }
}

/** @throws Error when certificate and key do not match: what was in force stays */
function putInForce(tls: TlsOfAddresses, { reviews, logins, observers, logger }: ReloadDependencies): void {
  if (tls.server !== undefined) reviews.updateTls(tls.server);
  if (tls.login !== undefined) logins?.updateTls(tls.login);
  observers.certificates(certificatesOf(tls));
  logCertificateWarnings(tls, logger);
}

/** A refused config may name files that the running one does not: a change of one of them may fix it. */
function filesOfRefused(config: GatewayConfig | undefined, error: unknown): readonly string[] {
  return [
    ...(error instanceof ConfigError ? error.files : []),
    ...(config === undefined ? [] : [...config.secretFiles, ...tlsFiles(config)]),
  ];
}

/** Everything that can fail comes first. Then the new chain replaces the old one in one step. */
async function swap(config: GatewayConfig, dependencies: ReloadDependencies, signal: AbortSignal): Promise<void> {
  const { running, create, logger, onSwapped } = dependencies;
  const old = running.generation;
  const tls = await readTls(config);
  const generation = await create(config);
  try {
    // An abandoned reload must not replace what a later one has put in force.
    signal.throwIfAborted();
    putInForce(tls, dependencies);
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

/** Logs certificates that expire soon, or that some clients will not accept. */
export function logCertificateWarnings({ server, login }: TlsOfAddresses, logger: Logger): void {
  for (const warning of [...(server?.warnings ?? []), ...(login?.warnings ?? [])]) logger.warn({}, warning);
}

/** Addresses, and whether there is TLS on them, stay as they are until a restart, and the log says so. */
function keepListening(next: GatewayConfig, now: GatewayConfig, logger: Logger): GatewayConfig {
  const { server, admin, login } = now;
  const changed = [
    ...(sameAddress(next.server.listen, server.listen) ? [] : ['server.listen']),
    ...(sameAddress(next.admin.listen, admin.listen) ? [] : ['admin.listen']),
    ...((next.server.tls === undefined) === (server.tls === undefined) ? [] : ['server.tls']),
    ...changedLogin(next.login, login),
  ];
  if (changed.length === 0) return next;
  logger.warn({ changed }, 'some changed settings take effect at the next restart; all others are in force now');
  const { tls, ...rest } = next.server;
  return {
    ...next,
    server: { ...rest, listen: server.listen, ...tlsInForce(tls, server.tls) },
    admin: { ...next.admin, listen: admin.listen },
    ...(next.login && login && { login: keepLogin(next.login, login) }),
  };
}

/** A login server that is new in the config listens after a restart. One that is removed answers 503 until then. */
function changedLogin(next: LoginConfig | undefined, now: LoginConfig | undefined): string[] {
  if (next === undefined || now === undefined) return next === now ? [] : ['login'];
  return [
    ...(sameAddress(next.listen, now.listen) ? [] : ['login.listen']),
    ...((next.tls === undefined) === (now.tls === undefined) ? [] : ['login.tls']),
  ];
}

function keepLogin({ tls, ...rest }: LoginConfig, now: LoginConfig): LoginConfig {
  return { ...rest, listen: now.listen, ...tlsInForce(tls, now.tls) };
}

function tlsInForce<Tls>(next: Tls | undefined, now: Tls | undefined): { tls?: Tls } {
  const current = next === undefined || now === undefined ? now : next;
  return current === undefined ? {} : { tls: current };
}

function sameAddress(one: ListenAddress, other: ListenAddress): boolean {
  return one.host === other.host && one.port === other.port;
}

/** Called when a file of each kind has changed. */
interface ChangeHandlers {
  readonly config: () => Promise<void>;
  readonly certificates: () => Promise<void>;
  readonly file: (file: WatchedFile) => Promise<void>;
}

/** The watches over the files of what runs. `since`: when reading them began, wall clock milliseconds. */
interface Watches {
  /** Watches the config, its secrets, and `more`: files that a refused config names. */
  config(running: Generation, since: number, more?: readonly string[]): Promise<void>;
  /**
   * Watches certificates and the files of plugins. Not to be called after a reload that was refused: a file that has
   * changed since then, and was not loaded, would count as known.
   */
  others(running: Generation, since: number): Promise<void>;
}

function createWatches(watcher: FileWatcher, handlers: ChangeHandlers): Watches {
  let endConfig = () => {};
  let endOthers: (() => void)[] = [];
  return {
    async config({ config }, since, more = []) {
      endConfig();
      endConfig = await watcher.watch([config.file, ...config.secretFiles, ...more], since, handlers.config);
    },
    async others({ config, files }, since) {
      for (const end of endOthers) end();
      endOthers = await Promise.all([
        watcher.watch(tlsFiles(config), since, handlers.certificates),
        ...files.map((one) => watcher.watch([one.file], since, () => handlers.file(one))),
      ]);
    },
  };
}

function tlsFiles({ server: { tls }, login }: Pick<GatewayConfig, 'server' | 'login'>): string[] {
  const filesOf = (one: { certFile: string; keyFile: string } | undefined) => (one ? [one.certFile, one.keyFile] : []);
  return [...filesOf(tls), ...(tls?.client === undefined ? [] : [tls.client.caFile]), ...filesOf(login?.tls)];
}
