import { resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import type { GatewayConfig } from '../config/types.ts';
import { packagePath } from '../package-files.ts';
import { UsageError } from './output.ts';

/**
 * The absolute path of the config: that of `--config` or SALLYPORT_CONFIG (commander has looked at both), else the shipped one,
 * which has static tokens with a demo token made at each start.
 *
 * @throws UsageError for an empty name, which `--config "$UNSET"` has: the demo must not run in place of that config
 */
export function configFile(named: string | undefined) {
  if (named === '') throw new UsageError('--config is empty: name a file, or leave it out for the shipped config');
  const isShipped = named === undefined;
  return { file: isShipped ? packagePath('gateway.yaml') : userPath(named), isShipped };
}

/** @throws UsageError, ConfigError */
export function loadNamedConfig({ config }: { readonly config?: string }): Promise<GatewayConfig> {
  return loadConfig(configFile(config).file, process.env);
}

/** Resolves a path of the command line from the user's folder. A package manager runs scripts in the package's, and sets INIT_CWD to the user's. */
export function userPath(path: string): string {
  const folder = process.cwd();
  return resolve(resolve(folder) === resolve(packagePath('.')) ? (process.env.INIT_CWD ?? folder) : folder, path);
}
