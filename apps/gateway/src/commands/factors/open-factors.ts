import { FixableError } from '../../config/problems.ts';
import type { GatewayConfig, LoginConfig, SecondFactorConfig } from '../../config/types.ts';
import { createFactorStore, type FactorStore } from '../../login/factors/factor-store.ts';
import { loadNamedConfig } from '../config-file.ts';
import { withFactorRedis } from '../connections.ts';
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
  options: ConfigOptions,
  command: string,
): Promise<FactorConfig> {
  const loaded = await loadNamedConfig(options);
  const config = withSecondFactor(loaded);
  if (config !== undefined) return config;
  throw new FixableError(
    `${command} needs login.secondFactor, and ${loaded.file} has none`,
    'add login.secondFactor (docs/second-factor.md)',
  );
}

/** Works with the store of second factors. */
export function withFactorStore<Result>(
  config: FactorConfig,
  work: (store: FactorStore) => Promise<Result>,
): Promise<Result> {
  return withFactorRedis(config, config.login.secondFactor, (redis) =>
    work(createFactorStore(redis, Date.now)),
  );
}
