import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageDetails } from '../image/layout.ts';
import { rootFolder } from '../run.ts';
import { type Archive, buildArchive } from './archives.ts';
import { writeHomebrewFormula, writeKrewManifest } from './manifests.ts';
import type { Platform } from './platforms.ts';

export interface ClientOptions {
  readonly source: ImageDetails;
  /** The folder on a server in which people find the archives. Without it there is nothing for krew and Homebrew. */
  readonly url: URL | undefined;
  /** Is called after each archive, which takes some seconds. */
  readonly report?: (archive: Archive) => void;
}

/**
 * Builds the client for people without Node: an archive for each platform, and what krew and Homebrew need to find them.
 *
 * @param folder where the files are written
 * @param bundle the folder of the packed client
 * @param work a folder for intermediate files
 */
export async function buildClient(
  folder: string,
  bundle: string,
  work: string,
  platforms: readonly Platform[],
  { source, url, report }: ClientOptions,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const archives: Archive[] = [];
  for (const platform of platforms) {
    const archive = await buildArchive(folder, bundle, join(work, platform.name), platform, source);
    report?.(archive);
    archives.push(archive);
  }
  if (url) {
    const template = await readFile(join(rootFolder, 'deploy/krew/sallyport.yaml'), 'utf8');
    const publication = { version: source.version, url, archives };
    await writeFile(join(folder, 'sallyport.yaml'), writeKrewManifest(template, publication));
    await writeFile(join(folder, 'kubectl-sallyport.rb'), writeHomebrewFormula(publication));
  }
}
