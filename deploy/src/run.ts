import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The root of the repository. */
export const rootFolder: string = fileURLToPath(new URL('../..', import.meta.url));

/** Runs a command. @returns its standard output. @throws Error with standard error, when it fails */
export async function run(
  command: string,
  words: readonly string[],
  cwd: string = rootFolder,
): Promise<string> {
  const { stdout } = await promisify(execFile)(command, words, {
    cwd,
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}

/** Runs the pnpm that runs this process, else one that npx brings. */
export function pnpm(...words: readonly string[]): Promise<string> {
  const running = process.env.npm_execpath ?? '';
  const isPnpm = /^pnpm(\.[cm]?js)?$/.test(basename(running));
  const own = /js$/.test(running) ? [process.execPath, running] : [running];
  const [command = '', ...first] = isPnpm ? own : ['npx', '-y', 'pnpm@10'];
  return run(command, [...first, ...words]);
}
