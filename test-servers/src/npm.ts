import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const isOfPackage = (folder: string) =>
  basename(folder) === '.bin' && basename(dirname(folder)) === 'node_modules';

/** The environment of the user of the machine, without the changes of the runner's own pnpm. */
function machine(): Record<string, string> {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|INIT_CWD$|NODE_ENV$|VITEST)/.test(name),
  );
  const folders = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => !isOfPackage(folder));
  return { ...(Object.fromEntries(own) as Record<string, string>), PATH: folders.join(delimiter) };
}

/**
 * Runs the npm of the machine, with the Node and the settings of the machine: its CAs and its registry. The runner's own pnpm
 * puts another Node before it, whose npm reads no global settings.
 *
 * @returns what it wrote to standard output
 * @throws Error with standard error, when it fails
 */
export async function npm(words: readonly string[]): Promise<string> {
  return (await run('npm', [...words], { env: machine(), maxBuffer: 16 * 1024 * 1024 })).stdout;
}

const settings = new Map<string, Promise<string>>();

/** A setting that `npm` has, such as `globalconfig`. It is read once. */
export function npmSetting(name: string): Promise<string> {
  const value = settings.get(name) ?? npm(['config', 'get', name]).then((text) => text.trim());
  settings.set(name, value);
  return value;
}

/**
 * The environment of a user who has the Node of this process, and the npm and the settings of the machine.
 *
 * @param folder for a file with the user's settings
 * @param more lines of .npmrc that come after the user's own
 */
export async function npmEnvironment(
  folder: string,
  more: string,
): Promise<Record<string, string>> {
  const [user, global] = await Promise.all([npmSetting('userconfig'), npmSetting('globalconfig')]);
  const file = join(folder, '.npmrc');
  await writeFile(file, `${await readFile(user, 'utf8').catch(() => '')}\n${more}`, {
    mode: 0o600,
  });
  const env = machine();
  const PATH = [dirname(process.execPath), env.PATH].join(delimiter);
  return {
    ...env,
    PATH,
    NPM_CONFIG_USERCONFIG: file,
    NPM_CONFIG_GLOBALCONFIG: global,
    NO_COLOR: '1',
  };
}
