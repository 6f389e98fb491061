import { resolve } from 'node:path';
import type { Attempts, Authenticator, PluginContext, TokenIssuer } from '@sallyport/authenticator';
import { durationText } from '@sallyport/plugin-kit';
import type { Logger } from 'pino';
import { withTimeLimit } from '../base/deadlines.ts';
import { loadWatchedFile, type WatchedFile } from '../config/files/watcher.ts';
import { ConfigError } from '../config/problems.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../config/types.ts';
import { createPluginMetrics } from '../observe/metrics/plugin-metrics.ts';

/**
 * How long a plugin may take to make something, in milliseconds. It must succeed while its backend is down, so it need not
 * wait.
 */
const makeTimeout = 10_000;

/** How long one `close()` may take, in milliseconds. */
const closeTimeout = 5_000;

export interface CreateDependencies {
  readonly logger: Logger;
  readonly attempts: (authenticator: string) => Attempts;
  /** Called with each file that a plugin is about to read. */
  readonly onFile?: (file: string) => void;
  /** Called when a file can't be used, instead of a throw to the plugin, so that `check` reports all such files in one run. */
  readonly onUnusableFile?: (error: unknown) => void;
}

/** One authenticator that a plugin made, before the gateway puts its layers around it. */
export type CreatedAuthenticator = Awaited<ReturnType<typeof createAuthenticator>>;

/**
 * Makes every authenticator of the config.
 *
 * @throws ConfigError with a problem for each authenticator that can't be made; the others are closed again
 */
export async function createAuthenticators(
  config: GatewayConfig,
  dependencies: CreateDependencies,
): Promise<readonly CreatedAuthenticator[]> {
  const files: string[] = [];
  const watching = { ...dependencies, onFile: (file: string) => files.push(file) };
  const results = await Promise.allSettled(
    config.authenticators.map((authenticatorConfig) =>
      createAuthenticator(authenticatorConfig, config.baseDirectory, watching),
    ),
  );
  const created = results.flatMap((result) =>
    result.status === 'fulfilled' ? [result.value] : [],
  );
  if (created.length === results.length) return created;
  await Promise.all(created.map((plugin) => closeAuthenticator(plugin, dependencies.logger)));
  const problems = results.flatMap((result, index) =>
    result.status === 'rejected'
      ? (config.authenticators[index]?.problem(result.reason) ?? [])
      : [],
  );
  throw new ConfigError(problems, files);
}

/** @throws Error with what its plugin said, or that it took too long */
export async function createAuthenticator(
  config: AuthenticatorConfig,
  baseDirectory: string,
  dependencies: CreateDependencies,
) {
  let onReconnected: (() => void) | undefined;
  const { plugin, options, timeout } = config;
  const make = (context: PluginContext) =>
    plugin.create(options, { ...context, timeout, backendReconnected: () => onReconnected?.() });
  const { made: authenticator, ...pluginParts } = await makeWithPlugin(
    'create',
    config,
    baseDirectory,
    dependencies,
    make,
  );
  requireFunctions(authenticator, 'create', 'Authenticator', ['authenticate', 'close']);
  /** Calls back each time that the plugin has a connection to its backend again. */
  const followConnection = (listener: () => void) => {
    onReconnected = listener;
  };
  return { config, authenticator, followConnection, ...pluginParts };
}

/** Closes one authenticator. Never rejects. */
export function closeAuthenticator(
  { config, authenticator }: CreatedAuthenticator,
  logger: Logger,
): Promise<void> {
  return closeMade('authenticator', authenticator, config.name, logger);
}

type IssuingPlugin = Required<Pick<AuthenticatorConfig['plugin'], 'createTokenIssuer'>>;

export type IssuingAuthenticator = AuthenticatorConfig & { readonly plugin: IssuingPlugin };

export function issuesTokens(
  authenticator: AuthenticatorConfig,
): authenticator is IssuingAuthenticator {
  return authenticator.plugin.createTokenIssuer !== undefined;
}

/** @throws Error with what its plugin said, or that it took too long */
export async function createTokenIssuer(
  config: IssuingAuthenticator,
  baseDirectory: string,
  dependencies: CreateDependencies,
): Promise<TokenIssuer> {
  const make = (context: PluginContext) => config.plugin.createTokenIssuer(config.options, context);
  const { made: issuer } = await makeWithPlugin(
    'createTokenIssuer',
    config,
    baseDirectory,
    dependencies,
    make,
  );
  requireFunctions(issuer, 'createTokenIssuer', 'TokenIssuer', [
    'create',
    'list',
    'revoke',
    'close',
  ]);
  return issuer;
}

function requireFunctions<Made>(
  instance: Made,
  call: string,
  kind: string,
  names: (keyof Made & string)[],
): void {
  if (names.every((name) => typeof instance?.[name] === 'function')) return;
  const list = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
  throw new Error(`the result of ${call}() is not a valid ${kind}: it needs the functions ${list}`);
}

/**
 * Makes something by the plugin of an authenticator, with the context that the contract promises.
 *
 * @param call the name of the plugin's function, for messages
 * @returns what was made, the registry of its metrics, and the files that it reads through `watchFile`
 */
async function makeWithPlugin<Made extends Pick<Authenticator, 'close'>>(
  call: string,
  config: AuthenticatorConfig,
  baseDirectory: string,
  { logger, attempts, onFile, onUnusableFile }: CreateDependencies,
  make: (context: PluginContext) => Promise<Made>,
) {
  const { metrics, registry } = createPluginMetrics(config.plugin.name, config.name);
  const files: WatchedFile[] = [];
  const late = `${call}() took longer than ${durationText(makeTimeout)}: it must not wait for its backend`;
  const instance = await withTimeLimit(makeTimeout, late, async (signal) => {
    const candidate = await make({
      logger: logger.child({ authenticator: config.name }),
      metrics,
      baseDirectory,
      signal,
      attempts: attempts(config.name),
      async watchFile(file, load, { secret = false, limit } = {}) {
        const path = resolve(baseDirectory, file);
        onFile?.(path);
        try {
          files.push({ ...(await loadWatchedFile(path, load, limit)), secret });
        } catch (error) {
          if (onUnusableFile === undefined) throw error;
          onUnusableFile(error);
        }
      },
    });
    // After the time limit no one else would close what was made.
    if (signal.aborted) await candidate.close();
    return candidate;
  });
  return { made: instance, registry, files };
}

/** Closes what a plugin made. A failure is only logged: it must not stop what follows. Never rejects. */
export async function closeMade(
  kind: string,
  instance: Pick<Authenticator, 'close'>,
  authenticator: string,
  logger: Logger,
  limit: number = closeTimeout,
): Promise<void> {
  try {
    await withTimeLimit(limit, `close() took longer than ${durationText(limit)}`, () =>
      instance.close(),
    );
  } catch (error) {
    logger.warn({ err: error, authenticator }, `${kind} could not be closed`);
  }
}
