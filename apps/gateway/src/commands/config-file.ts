import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from './usage-error.ts';

/** The shipped config: static tokens with a demo token made at each start. */
const embedded = fileURLToPath(new URL('../../gateway.yaml', import.meta.url));

const packageFolder = fileURLToPath(new URL('../..', import.meta.url));

export interface ConfigFile {
  /** Absolute. */
  readonly file: string;
  /** True when no other was named. */
  readonly isEmbedded: boolean;
}

/**
 * The config of `--config` or SALLYPORT_CONFIG (commander has looked at both), else the shipped one.
 *
 * @throws UsageError when one is named and empty, as `--config "$UNSET"` is: the demo must not run in its place
 */
export function configFile(named: string | undefined): ConfigFile {
  if (named === '') throw new UsageError('--config is empty: name a file, or leave it out for the shipped config');
  return named === undefined ? { file: embedded, isEmbedded: true } : { file: userPath(named), isEmbedded: false };
}

/** A path as the user wrote it, from where they stand. */
export function userPath(path: string): string {
  return resolve(whereTheUserStands(), path);
}

/** A package manager runs scripts in the package's folder, and tells the user's own in INIT_CWD. */
function whereTheUserStands(): string {
  const folder = process.cwd();
  return resolve(folder) === resolve(packageFolder) ? (process.env.INIT_CWD ?? folder) : folder;
}
