import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { rootFolder, run } from '../run.ts';
import type { Platform } from './platforms.ts';

/**
 * Finds the Node of a platform. This machine's is installed; npm fetches another one, or has it in its cache.
 *
 * @param work a folder for what is fetched
 * @returns the path of its program
 * @throws Error when npm can't fetch it, or when it is not what the lockfile names
 */
export async function findNode({ os, nodePackage }: Platform, work: string): Promise<string> {
  const installed = join(rootFolder, 'node_modules', nodePackage);
  const folder = existsSync(installed) ? installed : await fetchPackage(nodePackage, work);
  return join(folder, os === 'windows' ? 'bin/node.exe' : 'bin/node');
}

async function fetchPackage(name: string, work: string): Promise<string> {
  const { optionalDependencies } = JSON.parse(
    await readFile(join(rootFolder, 'package.json'), 'utf8'),
  );
  const version = `${name}@${optionalDependencies[name]}`;
  const { packages } = parse(await readFile(join(rootFolder, 'pnpm-lock.yaml'), 'utf8'));
  const options = ['--prefer-offline', '--loglevel=error', `--pack-destination=${work}`];
  await run('npm', ['pack', ...options, version], work);
  const tarball = join(work, `${version.replace('@', '-')}.tgz`);
  verifyIntegrity(version, await readFile(tarball), packages[version]?.resolution.integrity);
  const folder = join(work, name);
  await mkdir(folder);
  const words = ['--extract', '--gzip', '--file', tarball, '--directory', folder];
  await run('tar', [...words, '--strip-components=1']);
  return folder;
}

/** @param integrity as the lockfile has it @throws Error when the bytes have another hash */
export function verifyIntegrity(name: string, bytes: Buffer, integrity: string | undefined): void {
  const actual = `sha512-${hash('sha512', bytes, 'base64')}`;
  if (actual === integrity) return;
  throw new Error(
    `${name}: npm delivered ${actual}, but pnpm-lock.yaml names ${integrity ?? 'no hash of it'}
  fix: remove what npm has cached (npm cache clean --force), and find out which registry npm uses (npm config get registry)`,
  );
}
