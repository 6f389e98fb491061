import type { Authenticator } from '@sallyport/authenticator';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { ConfigError } from '../config/problems.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../config/types.ts';
import type { WatchedFile } from '../files/watched-file.ts';
import { type CreateDependencies, closeMade, makeWithPlugin } from './make-with-plugin.ts';

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

/** Closes one authenticator, and goes on when it can't. */
export function closeAuthenticator({ config, authenticator }: CreatedAuthenticator, logger: Logger): Promise<void> {
  return closeMade('authenticator', authenticator, config.name, logger);
}
