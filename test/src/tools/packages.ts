import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { npmEnvironment } from '@sallyport/test-servers/npm';
import { codeFolder } from '../testing/command.ts';
import { temporaryFolder } from '../testing/folder.ts';
import { rootFolder, runPnpm } from '../testing/pnpm.ts';
import { runProgram } from '../testing/shell.ts';

/** The folder into which the task `packages` of Turborepo writes the tarballs of all packages. It runs before these tests. */
const packedFolder = join(rootFolder, 'deploy/dist/packages');

/** Finds the tarballs of all packages, as a release has them. @returns them by the names of their packages */
export async function packedPackages(): Promise<ReadonlyMap<string, string>> {
  // `pnpm test` has run it: a second build would replace files that other tests are running.
  if (codeFolder === 'src') {
    const { code, stdout, stderr } = await runPnpm(
      ['exec', 'turbo', 'run', 'packages'],
      rootFolder,
    );
    if (code !== 0) throw new Error(`turbo run packages failed:\n${stdout}${stderr}`);
  }
  const files = (await readdir(packedFolder)).sort();
  return new Map(
    files.map((file) => [
      file.replace(/-\d.*$/, '').replace(/^sallyport-/, '@sallyport/'),
      join(packedFolder, file),
    ]),
  );
}

/**
 * Installs the oldest Node that a package runs on, by `engines` of its manifest, unless an earlier run did. It is not a
 * dependency, since it would then be `node` for all tests of this package.
 *
 * @param ofPackage the folder of the package in the repository
 * @returns the binary of Node
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

/** Installs packages or tarballs with plain npm in an empty folder. @param where `--global`, or nothing for the folder itself */
export async function npmInstall(
  folder: string,
  packages: Iterable<string>,
  where: readonly string[] = [],
): Promise<void> {
  await mkdir(folder, { recursive: true });
  if (where.length === 0) await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
  const quiet = [
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--no-update-notifier',
    '--loglevel=error',
  ];
  const env = await npmEnvironment(await temporaryFolder('npm'), '');
  const { code, stderr } = await runProgram('npm', ['install', ...where, ...quiet, ...packages], {
    cwd: folder,
    env,
  });
  if (code !== 0) throw new Error(`npm install in ${folder} failed:\n${stderr}`);
}
