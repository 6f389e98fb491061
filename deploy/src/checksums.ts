import { hash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Writes SHA256SUMS into a folder, for all files that are in it, as `sha256sum --check SHA256SUMS` reads it. */
export async function writeChecksums(folder: string): Promise<void> {
  const lines = (await readdir(folder)).sort().map(async (name) => {
    return `${hash('sha256', await readFile(join(folder, name)))}  ${name}\n`;
  });
  await writeFile(join(folder, 'SHA256SUMS'), (await Promise.all(lines)).join(''));
}
