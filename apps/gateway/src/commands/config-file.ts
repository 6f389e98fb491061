import { resolve } from 'node:path';
import { printable } from '../base/logging/printable.ts';
import { packagePath } from '../base/package-files.ts';
import { loadConfig } from '../config/load.ts';
import { ConfigError, type ConfigProblem } from '../config/problems.ts';
import { denied } from '../config/read-text.ts';
import type { GatewayConfig } from '../config/types.ts';
import { printRemark, UsageError } from './output.ts';

/** Returns the path of the config. @param named `--config` or SALLYPORT_CONFIG; left out: the shipped config, with its demo token */
export function configFile(named: string | undefined) {
  // `--config "$UNSET"` is empty: the demo must not run in place of that config.
  if (named === '')
    throw new UsageError('--config is empty: name a file, or leave it out for the shipped config');
  const isShipped = named === undefined;
  return { file: isShipped ? packagePath('gateway.yaml') : userPath(named), isShipped };
}

/** Returns the path of the config, with a remark if it is the shipped one: most likely another one was meant. */
export function configFileOfCommand({ config }: { readonly config?: string }): string {
  const { file, isShipped } = configFile(config);
  if (isShipped) {
    printRemark(
      `no --config and no SALLYPORT_CONFIG: this is about the demo that comes with the gateway, ${printable(file)}`,
    );
  }
  return file;
}

/** Loads the config of a command. @throws ConfigError that says what to do until the file is correct */
export async function loadNamedConfig(options: {
  readonly config?: string;
}): Promise<GatewayConfig> {
  const file = configFileOfCommand(options);
  try {
    return await loadConfig(file, process.env);
  } catch (error) {
    throw error instanceof ConfigError && error.problems.some(isInFile)
      ? new ConfigError(error.problems, error.files, lastGood)
      : error;
  }
}

/** Whether an edit of the file can have caused the problem. A problem without a line is that the file could not be read. */
function isInFile({ line, message }: ConfigProblem): boolean {
  return line !== undefined && !message.includes(denied);
}

const lastGood =
  'Gateways that run go on with the config that they have read last. If this file was edited, run the same command with ' +
  '--config and a copy of its last good version, in the same folder: paths in it start there. If the problem is in a ' +
  'file that it names, put the last good one back: every command reads those';

/**
 * Resolves a path of the command line from the user's folder. A package manager runs scripts in the package's, and sets INIT_CWD to the
 * user's.
 */
export function userPath(path: string): string {
  const folder = process.cwd();
  return resolve(
    resolve(folder) === resolve(packagePath('.')) ? (process.env.INIT_CWD ?? folder) : folder,
    path,
  );
}
