import { RedisProblem } from '@sallyport/redis-connection';
import { FixableError } from '../../config/problems.ts';
import type { GatewayConfig, LoginConfig, SecondFactorConfig } from '../../config/types.ts';
import { createFactorStore, type FactorStore } from '../../login/factors/factor-store.ts';
import { loadNamedConfig } from '../config-file.ts';
import { withFactorRedis } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import type { ConfigOptions } from '../options.ts';

/** A config with second factors. */
export interface FactorConfig extends GatewayConfig {
  readonly login: LoginConfig & { readonly secondFactor: SecondFactorConfig };
}

/** @returns undefined if the config has no second factors */
export function withSecondFactor(config: GatewayConfig): FactorConfig | undefined {
  const { login } = config;
  const secondFactor = login?.secondFactor;
  return login && secondFactor && { ...config, login: { ...login, secondFactor } };
}

/** @throws FixableError if the config has no second factors, or ConfigError */
export async function loadFactorConfig(
  context: CommandContext,
  options: ConfigOptions,
  command: string,
): Promise<FactorConfig> {
  const loaded = await loadNamedConfig(context, options);
  const config = withSecondFactor(loaded);
  if (config !== undefined) return config;
  throw new FixableError(
    `${command} needs login.secondFactor, and ${loaded.file} has none`,
    'add login.secondFactor (docs/second-factor.md)',
  );
}

/** Works with the store of second factors. */
export function withFactorStore<Result>(
  context: CommandContext,
  config: FactorConfig,
  work: (store: FactorStore) => Promise<Result>,
): Promise<Result> {
  return withFactorRedis(context, config, config.login.secondFactor, (redis) =>
    work(createFactorStore(redis, context.now)),
  );
}

/**
 * Works with the store of second factors, for a command that is about nothing else.
 *
 * @param terms `undone` says what is not done if that Redis fails, and `alternative` what works without it
 * @throws FixableError that names that Redis, and what `work` throws
 */
export async function needFactorStore<Result>(
  context: CommandContext,
  config: FactorConfig,
  work: (store: FactorStore) => Promise<Result>,
  {
    undone = () => 'nothing was done',
    alternative,
  }: { readonly undone?: () => string; readonly alternative?: string } = {},
): Promise<Result> {
  try {
    return await withFactorStore(context, config, work);
  } catch (error) {
    if (!(error instanceof RedisProblem)) throw error;
    const isOfRights = error.kind === 'permission' || error.kind === 'authentication';
    const fix = isOfRights
      ? 'correct the username and password of login.secondFactor.redis, and give that user the rights in docs/redis.md (Second factors)'
      : 'start that Redis, or correct login.secondFactor.redis.url';
    throw new FixableError(
      `${undone()}: the Redis of login.secondFactor.redis failed: ${error.message}`,
      [fix, alternative].filter((text) => text !== undefined).join('. '),
    );
  }
}
