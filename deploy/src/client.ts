/**
 * Builds `kubectl-sallyport` for people without Node: into dist/client. With --url, the folder on a server that the files will be
 * in, it also writes what krew and Homebrew need. --platform, such as darwin-arm64, builds only this one; it can be repeated.
 */
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { writeChecksums } from './checksums.ts';
import type { Archive } from './client/archives.ts';
import { buildClient } from './client/build.ts';
import { findOwnPlatform, platforms } from './client/platforms.ts';
import { commandName } from './client/program.ts';
import { readSource } from './packages.ts';
import { rootFolder, run } from './run.ts';

const names = platforms.map(({ name }) => name);

function readArguments() {
  const { values } = parseArgs({
    options: { url: { type: 'string' }, platform: { type: 'string', multiple: true } },
  });
  const chosen = values.platform ?? names;
  const unsupported = chosen.find((name) => !names.includes(name));
  if (unsupported !== undefined)
    throw new Error(`--platform ${unsupported}: use one of ${names.join(', ')}`);
  if (values.url !== undefined && !/^https:\/\/[^/?#\s"\\]+[^?#\s"\\]*$/.test(values.url))
    throw new Error('--url: write the https URL of the folder that people will get the files from');
  return {
    folder: resolve(process.env.INIT_CWD ?? '.', 'dist/client'),
    url: values.url === undefined ? undefined : new URL(values.url),
    chosen: platforms.filter(({ name }) => chosen.includes(name)),
  };
}

async function main(): Promise<void> {
  const { folder, url, chosen } = readArguments();
  const source = await readSource();
  await rm(folder, { recursive: true, force: true });
  // `pnpm test` has built it, and other tests are running that build.
  if (process.env.CODE !== 'dist')
    await run(join(rootFolder, 'node_modules/.bin/turbo'), [
      'run',
      'build',
      `--filter=${commandName}`,
    ]);
  const bundle = join(rootFolder, 'packages', commandName);
  console.log(`building kubectl-sallyport ${source.version} into ${folder}`);
  const ownPlatform = findOwnPlatform()?.name;
  const report = ({ file, size, isTried }: Archive) => {
    const state = isTried ? 'tried here' : `not tried: this machine is ${ownPlatform}`;
    console.log(`  ${file}  ${(size / 1e6).toFixed(1)} MB  ${state}`);
  };
  await buildClient(folder, bundle, join(folder, 'work'), chosen, { source, url, report });
  await rm(join(folder, 'work'), { recursive: true });
  await writeChecksums(folder);
  console.log(
    `  SHA256SUMS${url ? ', sallyport.yaml for krew, kubectl-sallyport.rb for Homebrew' : ''}`,
  );
  if (chosen.some(({ os }) => os === 'darwin'))
    console.log(
      'The programs for macOS are signed ad hoc, so people allow what a browser downloaded as docs/install/client.md says.',
    );
}

await main().catch((error: Error) => {
  console.error(`client: ${error.message}`);
  process.exitCode = 1;
});
