import { type SpawnOptionsWithoutStdio, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { npm, npmSetting } from '@sallyport/test-servers/npm';
import { within } from '@sallyport/test-servers/wait-for';
import { type CommandResult, codeFolder } from './command.ts';
import { findLeaks } from './leaks.ts';
import { rootFolder, runPnpm } from './pnpm.ts';
import { cpuSeconds } from './process-cpu.ts';
import { secretsInUse } from './tokens.ts';

/** Milliseconds: a busy machine builds and installs for a while. */
export const longest = 300_000;

/** Packs all packages as a release does. @returns the tarballs by the names of their packages */
export async function packAll(folder: string): Promise<ReadonlyMap<string, string>> {
  // A build would replace files that other tests are running.
  const script = codeFolder === 'dist' ? 'pack:built' : 'pack:all';
  const { code, stdout, stderr } = await runPnpm([script, folder], rootFolder, longest);
  if (code !== 0) throw new Error(`pnpm ${script} failed:\n${stdout}${stderr}`);
  const files = (await readdir(folder)).filter((file) => file.endsWith('.tgz')).sort();
  return new Map(
    files.map((file) => [file.replace(/-\d.*$/, '').replace(/^sallyport-/, '@sallyport/'), join(folder, file)]),
  );
}

/**
 * Installs the oldest Node that a package runs on, by `engines` of its manifest, unless an earlier run did. As a dependency it
 * would be `node` for all tests of this package.
 *
 * @param ofPackage its folder in the repository
 * @returns its binary
 */
export async function installLowestNode(ofPackage: string): Promise<string> {
  const manifest = JSON.parse(await readFile(join(rootFolder, ofPackage, 'package.json'), 'utf8'));
  const [, lowest] = /^(?:\^|>=)([\d.]+)/.exec(manifest.engines.node) ?? [];
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(rootFolder, `test/node_modules/.cache/${name}-${lowest}`);
  if (!existsSync(folder)) {
    await mkdir(dirname(folder), { recursive: true });
    const created = await mkdtemp(`${folder}-`);
    await npmInstall(created, [`${name}@${lowest}`]);
    await rename(created, folder);
  }
  return join(folder, 'node_modules', name, 'bin/node');
}

/** Installs tarballs with plain npm in an empty folder. @param where `--global`, or nothing for the folder itself */
export async function npmInstall(
  folder: string,
  tarballs: Iterable<string>,
  where: readonly string[] = [],
): Promise<void> {
  await mkdir(folder, { recursive: true });
  if (where.length === 0) await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];
  // With --prefix, npm looks for the machine's settings in that folder, and does not know the CA of its registry.
  const settings = await npmSetting('globalconfig');
  await npm(['install', ...where, ...quiet, '--globalconfig', settings, ...tarballs], {
    cwd: folder,
    timeout: longest,
  });
}

/** An installed command, on one Node: `#!/usr/bin/env node` takes the first on PATH. */
export interface InstalledCommand {
  /** Runs it to its end. @throws Error when a secret of the test file is in its output */
  run(commandArguments: readonly string[], cwd: string, input?: string): Promise<CommandResult>;
  /** Starts `serve`. @returns where it listens; disposing of it ends it, and waits for that */
  serve(commandArguments: readonly string[], cwd: string): Promise<InstalledGateway>;
}

interface InstalledGateway extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** Milliseconds from the spawn to the line that it listens, and those in which it used a processor. */
  readonly start: { readonly elapsed: number; readonly cpu: number };
}

export function installedCommand(program: string, node: string): InstalledCommand {
  const start = (commandArguments: readonly string[], cwd: string, more: Readonly<Record<string, string>> = {}) => {
    const PATH = [dirname(node), process.env.PATH].join(delimiter);
    const options: SpawnOptionsWithoutStdio = { cwd, env: { PATH, HOME: cwd, NO_COLOR: '1', ...more } };
    return spawn(program, commandArguments, options);
  };
  return {
    async run(commandArguments, cwd, input = '') {
      // Halves the time of a start. `serve` has none: its start is measured.
      const child = start(commandArguments, cwd, { NODE_COMPILE_CACHE: join(dirname(program), '.compile-cache') });
      const output = { stdout: '', stderr: '' };
      child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
      child.stdin.on('error', () => {}).end(input);
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      const code = await within(ended, `the end of sallyport ${commandArguments.join(' ')}`);
      const leaks = findLeaks(output.stdout + output.stderr, secretsInUse());
      if (leaks.length > 0) throw new Error(`sallyport ${commandArguments.join(' ')} printed: ${leaks.join('; ')}`);
      return { code, ...output };
    },
    async serve(commandArguments, cwd) {
      const since = performance.now();
      const child = start(['serve', ...commandArguments], cwd);
      let log = '';
      const closed = new Promise((resolve) => child.once('close', resolve));
      const url = new Promise<string>((resolve, reject) => {
        child.stderr.setEncoding('utf8').on('data', (text: string) => {
          log += text;
          const found = /"url":"([^"]+)".*"msg":"listening"/.exec(log);
          if (found?.[1] !== undefined) resolve(found[1]);
        });
        void closed.then(() => reject(new Error(`serve ended:\n${log}`)));
      });
      const { pid = 0 } = child;
      return {
        url: await within(url, 'the line that it listens'),
        start: { elapsed: performance.now() - since, cpu: (await cpuSeconds(pid)) * 1000 },
        pid,
        async [Symbol.asyncDispose]() {
          child.kill('SIGINT');
          await within(closed, 'the end of serve');
        },
      };
    },
  };
}
