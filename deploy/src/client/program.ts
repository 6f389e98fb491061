import { chmod, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../run.ts';
import { signMachO } from './mach-o-signature.ts';
import { findNode } from './node-package.ts';
import { removePeSignature } from './pe-signature.ts';
import type { Platform } from './platforms.ts';

/** The command, as kubeconfigs name it. */
export const commandName = 'kubectl-sallyport';

/**
 * Writes what an archive contains: the program for a platform, made from its Node and one file of JavaScript, and the licenses.
 * Node can put the file into the programs of all platforms, as long as they are of its own version.
 *
 * @param bundle the folder of the packed client
 * @see https://nodejs.org/api/single-executable-applications.html
 * @returns the path of the program
 */
export async function writeProgram(
  bundle: string,
  platform: Platform,
  work: string,
  output: string,
): Promise<string> {
  for (const folder of [work, output]) await mkdir(folder, { recursive: true });
  const node = await findNode(platform, work);
  const program = join(output, platform.os === 'windows' ? `${commandName}.exe` : commandName);
  let executable = node;
  if (platform.os === 'windows') {
    executable = join(work, 'unsigned.exe');
    await writeFile(executable, removePeSignature(await readFile(node)));
  }
  const config = join(work, 'sea.json');
  const source = { main: join(bundle, `dist/${commandName}.js`), mainFormat: 'module' };
  const flags = { disableExperimentalSEAWarning: true, execArgvExtension: 'none' };
  await writeFile(config, JSON.stringify({ ...source, executable, output: program, ...flags }));
  await run(process.execPath, ['--build-sea', config]);
  if (platform.os === 'darwin')
    await writeFile(program, signMachO(await readFile(program), commandName));
  await chmod(program, 0o755);
  await copyFile(join(bundle, 'LICENSE'), join(output, 'LICENSE'));
  const licenses = 'THIRD-PARTY-LICENSES.txt';
  await copyFile(join(bundle, 'dist', licenses), join(output, licenses));
  // It is the same for all platforms, and the package for Windows has none.
  await copyFile(join(dirname(process.execPath), '../LICENSE'), join(output, 'NODE-LICENSE'));
  await rm(work, { recursive: true });
  return program;
}
