import { lstat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { printable } from '../base/logging/printable.ts';
import { packagePath } from '../base/package-files.ts';
import { loadConfig } from '../config/load.ts';
import { ConfigError, type ConfigProblem } from '../config/problems.ts';
import { denied } from '../config/read-text.ts';
import type { GatewayConfig } from '../config/types.ts';
import type { CommandContext } from './context.ts';
import { type ConfigOptions, defaultConfigFile } from './options.ts';
import { printRemark, UsageError } from './output.ts';
import { commandLine } from './printed-commands.ts';

/**
 * Returns the path of the config that a command uses. Unless `--config` named it, the command reports the path on standard error: an
 * operator must not block a user in another config than they think.
 *
 * @param fallback the file that is used when none is named
 * @throws UsageError when no config is named and there is no fallback
 */
export async function configFile(
  context: CommandContext,
  { config, configSource, demo }: ConfigOptions,
  fallback = defaultConfigFile,
): Promise<string> {
  // `--config "$UNSET"` is empty: another config must not be used in place of that one.
  if (config === '') throw new UsageError('--config is empty', 'name a file, or leave it out');
  if (config !== undefined && configSource === 'cli') return userPath(context, config);
  if (config !== undefined)
    return remarkConfig(context, userPath(context, config), ' (SALLYPORT_CONFIG)');
  return demo
    ? remarkConfig(context, packagePath('gateway.yaml'), ' (--demo)')
    : remarkConfig(context, await requireFallback(context, fallback));
}

function remarkConfig(context: CommandContext, file: string, origin = ''): string {
  printRemark(context, `using config ${printable(file)}${origin}`);
  return file;
}

async function requireFallback(context: CommandContext, fallback: string): Promise<string> {
  // A file or a folder that this user may not read exists: reading it says so.
  const isMissing = await lstat(fallback).then(
    () => false,
    ({ code }) => code === 'ENOENT' || code === 'ENOTDIR',
  );
  if (!isMissing) return fallback;
  throw new UsageError(
    `no config: --config is not given, SALLYPORT_CONFIG is not set, and ${fallback} does not exist`,
    `name a file with --config or SALLYPORT_CONFIG, or make one: ${commandLine(context, ['init', dirname(fallback), '--host', 'HOST'])}`,
  );
}

/** Loads the config of a command. @throws ConfigError that says what to do until the file is correct */
export async function loadNamedConfig(
  context: CommandContext,
  options: ConfigOptions,
): Promise<GatewayConfig> {
  const file = await configFile(context, options);
  try {
    return await loadConfig(file, context.environment);
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
  'Running gateways keep the config that they read last. If you edited this file, run the same command with --config and a copy of ' +
  'its last valid version in the same folder: relative paths start there. If the problem is in a file that it names, restore the ' +
  'last valid version of that file: every command reads it';

/**
 * Resolves a path of the command line from the user's folder. A package manager runs scripts in the package's, and sets INIT_CWD to the
 * user's.
 */
export function userPath({ readFolder, environment }: CommandContext, path: string): string {
  const folder = readFolder();
  return resolve(
    resolve(folder) === resolve(packagePath('.')) ? (environment.INIT_CWD ?? folder) : folder,
    path,
  );
}
