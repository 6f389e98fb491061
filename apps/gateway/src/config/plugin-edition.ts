import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Of the code that this process runs, by the URL it was imported from. */
const running = new Map<string, string>();

/**
 * Whether the code at this URL is another on disk by now than the one that was imported from there: Node evaluates a
 * module once, so it takes a restart to run it. Told from the file itself and its package's manifest, which every
 * release changes; a package's inner files are not looked at.
 */
export async function changedSinceImport(url: string): Promise<boolean> {
  const onDisk = await edition(url);
  const imported = running.get(url);
  if (imported === undefined) running.set(url, onDisk);
  return imported !== undefined && imported !== onDisk;
}

async function edition(url: string): Promise<string> {
  const hash = createHash('sha256');
  const manifest = findPackageJSON(url);
  for (const file of [fileURLToPath(url), ...(manifest === undefined ? [] : [manifest])]) {
    hash.update(await readFile(file));
  }
  return hash.digest('base64');
}
