import { resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import type { GatewayConfig } from '../config/types.ts';
import { packagePath } from '../package-files.ts';
import { UsageError } from './output.ts';

/** @param named `--config` or SALLYPORT_CONFIG: commander has looked at both. Left out: the shipped config, with its demo token */
export function configFile(named: string | undefined) {
  // As `--config "$UNSET"` has it: the demo must not run in place of that config.
  if (named === '') throw new UsageError('--config is empty: name a file, or leave it out for the shipped config');
  const isShipped = named === undefined;
  return { file: isShipped ? packagePath('gateway.yaml') : userPath(named), isShipped };
}

export function loadNamedConfig({ config }: { readonly config?: string }): Promise<GatewayConfig> {
  return loadConfig(configFile(config).file, process.env);
}

/** Resolves a path of the command line from the user's folder. A package manager runs scripts in the package's, and sets INIT_CWD to the user's. */
export function userPath(path: string): string {
  const folder = process.cwd();
  return resolve(resolve(folder) === resolve(packagePath('.')) ? (process.env.INIT_CWD ?? folder) : folder, path);
}
