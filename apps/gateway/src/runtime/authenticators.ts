import { resolve } from 'node:path';
import type {
  Attempts,
  Authenticator,
  AuthenticatorPlugin,
  PluginContext,
  TokenIssuer,
} from '@sallyport/authenticator';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { ConfigError } from '../config/problems.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../config/types.ts';
import { withTimeLimit } from '../deadlines.ts';
import { loadWatchedFile, type WatchedFile } from '../files/watched-file.ts';
import { createPluginMetrics } from '../plugin-metrics/plugin-metrics.ts';

/** Milliseconds that a plugin may take to make something. It must succeed while its backend is down, so it need not wait. */
const makeTimeout = 10_000;

/** Milliseconds that one `close()` may take. */
const closeTimeout = 5_000;

export interface CreateDependencies {
  readonly logger: Logger;
  readonly attempts: (authenticator: string) => Attempts;
  /** Called with each file that a plugin is about to read. */
  readonly onFile?: (file: string) => void;
  /** Called when a file can't be used, in place of a throw to the plugin: `check` reports all such files at once. */
  readonly onUnusableFile?: (error: unknown) => void;
}

/** One authenticator that a plugin made, before the gateway puts its layers around it. */
export interface CreatedAuthenticator {
  readonly config: AuthenticatorConfig;
  readonly authenticator: Authenticator;
  readonly registry: Registry;
  /** What it reads through `watchFile`. */
  readonly files: readonly WatchedFile[];
}

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
    config.authenticators.map((one) => createAuthenticator(one, config.baseDirectory, watching)),
  );
  const created = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  if (created.length === results.length) return created;
  await Promise.all(created.map((one) => closeAuthenticator(one, dependencies.logger)));
  const problems = results.flatMap((result, index) =>
    result.status === 'rejected' ? (config.authenticators[index]?.problem(result.reason) ?? []) : [],
  );
  throw new ConfigError(problems, files);
}

/**
 * Makes one authenticator.
 *
 * @throws Error with what its plugin said, or that it took too long
 */
export async function createAuthenticator(
  config: AuthenticatorConfig,
  baseDirectory: string,
  dependencies: CreateDependencies,
): Promise<CreatedAuthenticator> {
  const { made, registry, files } = await makeWithPlugin('create', config, baseDirectory, dependencies, (context) =>
    config.plugin.create(config.options, context),
  );
  if (typeof made?.authenticate !== 'function' || typeof made.close !== 'function') {
    throw new Error('create() gave no Authenticator: it needs the functions authenticate and close');
  }
  return { config, authenticator: made, registry, files };
}

/** Closes one authenticator. Never rejects. */
export function closeAuthenticator({ config, authenticator }: CreatedAuthenticator, logger: Logger): Promise<void> {
  return closeMade('authenticator', authenticator, config.name, logger);
}

type Issuing = Required<Pick<AuthenticatorPlugin<unknown>, 'createTokenIssuer'>>;

/** An authenticator whose plugin issues tokens. */
export type IssuingAuthenticator = AuthenticatorConfig & { readonly plugin: Issuing };

export function issuesTokens(authenticator: AuthenticatorConfig): authenticator is IssuingAuthenticator {
  return authenticator.plugin.createTokenIssuer !== undefined;
}

/**
 * Makes the issuer of an authenticator's tokens.
 *
 * @throws Error with what its plugin said, or that it took too long
 */
export async function createTokenIssuer(
  config: IssuingAuthenticator,
  baseDirectory: string,
  dependencies: CreateDependencies,
): Promise<TokenIssuer> {
  const { made } = await makeWithPlugin('createTokenIssuer', config, baseDirectory, dependencies, (context) =>
    config.plugin.createTokenIssuer(config.options, context),
  );
  const functions = [made?.create, made?.list, made?.revoke, made?.close];
  if (functions.some((one) => typeof one !== 'function')) {
    throw new Error('createTokenIssuer() gave no TokenIssuer: it needs the functions create, list, revoke and close');
  }
  return made;
}

/** What plugins make holds connections and timers. */
interface Closeable {
  close(): Promise<void>;
}

interface Made<Thing> extends Pick<CreatedAuthenticator, 'registry' | 'files'> {
  readonly made: Thing;
}

/**
 * Has the plugin of an authenticator make something, with all that the contract promises it.
 *
 * @param call the plugin's function, for the message when it takes too long
 * @throws Error with what the plugin said, or that it took too long
 */
async function makeWithPlugin<Thing extends Closeable>(
  call: 'create' | 'createTokenIssuer',
  config: AuthenticatorConfig,
  baseDirectory: string,
  dependencies: CreateDependencies,
  make: (context: PluginContext) => Promise<Thing>,
): Promise<Made<Thing>> {
  const { metrics, registry } = createPluginMetrics(config.plugin.name, config.name);
  const files: WatchedFile[] = [];
  const late = `${call}() took longer than ${makeTimeout / 1000}s: it must not wait for its backend`;
  const made = await withTimeLimit(makeTimeout, late, async (signal) => {
    const thing = await make({
      logger: dependencies.logger.child({ authenticator: config.name }),
      metrics,
      baseDirectory,
      signal,
      attempts: dependencies.attempts(config.name),
      async watchFile(file, load, { secret = false, limit } = {}) {
        const path = resolve(baseDirectory, file);
        dependencies.onFile?.(path);
        try {
          files.push({ ...(await loadWatchedFile(path, load, limit)), secret });
        } catch (error) {
          if (dependencies.onUnusableFile === undefined) throw error;
          dependencies.onUnusableFile(error);
        }
      },
    });
    // The time limit has passed: no one else would close what was made.
    if (signal.aborted) await thing.close();
    return thing;
  });
  return { made, registry, files };
}

/**
 * Closes what a plugin made. A failure is logged and no more: it must not stop what follows.
 *
 * @param what for the log: `authenticator` or `token issuer`
 * @param limit in milliseconds
 */
export async function closeMade(
  what: string,
  made: Closeable,
  authenticator: string,
  logger: Logger,
  limit: number = closeTimeout,
): Promise<void> {
  try {
    await withTimeLimit(limit, `close() took longer than ${limit / 1000}s`, () => made.close());
  } catch (error) {
    logger.warn({ err: error, authenticator }, `${what} could not be closed`);
  }
}
