import { execFile } from 'node:child_process';
import { basename, delimiter, dirname } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const isOfPackage = (folder: string) => basename(folder) === '.bin' && basename(dirname(folder)) === 'node_modules';

/**
 * Runs the npm of the machine, with the Node and the settings of the machine: its CAs and its registry. The runner's own pnpm
 * puts another Node before it, whose npm reads no global settings.
 *
 * @param options `timeout` in milliseconds
 * @returns what it wrote to standard output
 * @throws Error with standard error, when it fails
 */
export async function npm(
  words: readonly string[],
  options: { readonly cwd?: string; readonly timeout?: number } = {},
): Promise<string> {
  const own = Object.entries(process.env).filter(([name]) => !/^(npm_|INIT_CWD$|NODE_ENV$|VITEST)/.test(name));
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => !isOfPackage(folder));
  const env = { ...Object.fromEntries(own), PATH: folders.join(delimiter) };
  return (await run('npm', [...words], { ...options, env, maxBuffer: 16 * 1024 * 1024 })).stdout;
}
