import { hash } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { zipSync } from 'fflate';
import { type ImageDetails, tarFolder } from '../image/layout.ts';
import { run } from '../run.ts';
import { findOwnPlatform, type Platform } from './platforms.ts';
import { commandName, writeProgram } from './program.ts';

export interface Archive {
  readonly platform: Platform;
  /** The name of the file. */
  readonly file: string;
  readonly size: number;
  readonly sha256: string;
  /** Whether the program ran on this machine. */
  readonly isTried: boolean;
}

/**
 * Builds the client for a platform into an archive: the same sources give the same bytes.
 *
 * @param folder where the archive is written
 * @param bundle the folder of the packed client
 * @param work a folder for intermediate files
 * @throws Error when the program is for this platform, and does not run
 */
export async function buildArchive(
  folder: string,
  bundle: string,
  work: string,
  platform: Platform,
  { version, epoch, level }: Omit<ImageDetails, 'revision'>,
): Promise<Archive> {
  const content = join(work, 'content');
  const program = await writeProgram(bundle, platform, join(work, 'program'), content);
  const isTried = platform === findOwnPlatform();
  if (isTried && (await run(program, ['--version'])) !== `${version}\n`)
    throw new Error(`${program} --version does not print ${version}`);
  const ending = platform.os === 'windows' ? 'zip' : 'tar.gz';
  const bytes =
    ending === 'zip'
      ? await zipFolder(content, level)
      : await promisify(gzip)(await tarFolder(content, epoch), { level });
  const file = `${commandName}-${version}-${platform.name}.${ending}`;
  await writeFile(join(folder, file), bytes);
  await rm(work, { recursive: true });
  return { platform, file, size: bytes.length, sha256: hash('sha256', bytes), isTried };
}

/** Zips the files of a folder: the same files give the same bytes. */
export async function zipFolder(folder: string, level: number): Promise<Uint8Array> {
  const names = (await readdir(folder)).sort();
  const entries = names.map(async (name) => [name, await readFile(join(folder, name))] as const);
  // ZIP has local times, so that the same moment would be other bytes in another time zone.
  const mtime = new Date(1980, 0, 1);
  return zipSync(Object.fromEntries(await Promise.all(entries)), {
    level: level as 0 | 6,
    mtime,
  });
}
