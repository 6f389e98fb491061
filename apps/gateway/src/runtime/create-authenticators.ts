import { resolve } from 'node:path';
import type { Attempts, Authenticator } from '@sallyport/authenticator';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { ConfigError } from '../config/problems.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../config/types.ts';
import { createPluginMetrics } from '../plugin-metrics/plugin-metrics.ts';
import { withTimeLimit } from './time-limit.ts';
import { loadWatchedFile, type WatchedFile } from './watched-file.ts';

/** How long one `create()` may take, in milliseconds: it must succeed while its backend is down, so it has no reason to wait. */
const createTimeout = 10_000;

/** How long one `close()` may take, in milliseconds. */
const closeTimeout = 5_000;

/** One authenticator that a plugin made, before the gateway puts its layers around it. */
export interface CreatedAuthenticator {
  readonly config: AuthenticatorConfig;
  readonly authenticator: Authenticator;
  readonly registry: Registry;
  /** What it reads through `watchFile`. */
  readonly files: readonly WatchedFile[];
}

export interface CreateDependencies {
  readonly logger: Logger;
  readonly attempts: (authenticator: string) => Attempts;
  /** Told of each file that a plugin is about to read. */
  readonly onFile?: (file: string) => void;
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
  const { metrics, registry } = createPluginMetrics(config.plugin.name, config.name);
  const files: WatchedFile[] = [];
  const late = `create() took longer than ${createTimeout / 1000} s: it must not wait for its backend`;
  const authenticator = await withTimeLimit(createTimeout, late, async (signal) => {
    const made = await config.plugin.create(config.options, {
      logger: dependencies.logger.child({ authenticator: config.name }),
      metrics,
      baseDirectory,
      signal,
      attempts: dependencies.attempts(config.name),
      async watchFile(file, load) {
        const path = resolve(baseDirectory, file);
        dependencies.onFile?.(path);
        files.push(await loadWatchedFile(path, load));
      },
    });
    // It was given up: what it made after all must not live on unseen.
    if (signal.aborted) await made.close();
    return made;
  });
  if (typeof authenticator?.authenticate !== 'function' || typeof authenticator.close !== 'function') {
    throw new Error('create() gave no Authenticator: it needs the functions authenticate and close');
  }
  return { config, authenticator, registry, files };
}

/** Closes one authenticator, and goes on when it can't: what is being left must not hold up what follows. */
export async function closeAuthenticator(
  { config, authenticator }: CreatedAuthenticator,
  logger: Logger,
): Promise<void> {
  try {
    await withTimeLimit(closeTimeout, `close() took longer than ${closeTimeout / 1000} s`, () => authenticator.close());
  } catch (error) {
    logger.warn({ err: error, authenticator: config.name }, 'authenticator could not be closed');
  }
}
