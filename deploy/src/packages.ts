import { globSync, realpathSync } from 'node:fs';
import { cp, mkdir, readFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ImageDetails } from './image/layout.ts';
import { rootFolder, run } from './run.ts';

/** The part of a package.json that these programs read. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly private?: boolean;
  readonly repository?: unknown;
  readonly dependencies?: Readonly<Record<string, string>>;
}

export interface Package {
  readonly folder: string;
  readonly manifest: Manifest;
}

export async function readManifest(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest;
}

/** The packages that are published, in the order of their names. */
export async function publicPackages(): Promise<readonly Package[]> {
  const files = globSync('{apps,packages}/*/package.json', { cwd: rootFolder });
  const folders = files.map((file) => join(rootFolder, dirname(file)));
  const all = await Promise.all(
    folders.map(async (folder) => ({ folder, manifest: await readManifest(folder) })),
  );
  return all
    .filter(({ manifest }) => manifest.private !== true)
    .sort((one, two) => (one.manifest.name < two.manifest.name ? -1 : 1));
}

/** The name that pnpm gives to the tarball of a package. */
export function tarballOf({ name, version }: Manifest): string {
  return `${name.replace('@', '').replace('/', '-')}-${version}.tgz`;
}

/** The folder in which the task `packages` leaves the tarballs. */
export const packedFolder: string = join(rootFolder, 'deploy/dist/packages');

/** Writes a tarball of each package that is published into the folder, with its pages as they are now: those are no inputs of the task. */
export async function packPackages(folder: string): Promise<void> {
  // `pnpm test` has made them, and a second build would replace files that other tests are running.
  if (process.env.CODE !== 'dist')
    await run(join(rootFolder, 'node_modules/.bin/turbo'), ['run', 'packages', '--force']);
  await cp(packedFolder, folder, { recursive: true });
}

/**
 * Installs the gateway from its tarballs into `folder`/node_modules, with all that it depends on, and nothing else. Packages
 * of others are those of the lockfile: npm would take newer ones.
 *
 * @throws Error when two versions of a package are needed
 */
export async function installGateway(
  tarballs: string,
  folder: string,
): Promise<readonly Package[]> {
  const own = new Map((await publicPackages()).map((one) => [one.manifest.name, one]));
  const installed = new Map<string, Package>();

  async function install(name: string, wantedBy: string): Promise<void> {
    const ours = own.get(name);
    const source = ours?.folder ?? findPackage(name, wantedBy);
    const { version } = await readManifest(source);
    const before = installed.get(name);
    if (before) {
      if (before.manifest.version === version) return;
      throw new Error(
        `two versions of ${name} are needed: ${before.manifest.version} and ${version}`,
      );
    }
    const target = join(folder, 'node_modules', name);
    await mkdir(target, { recursive: true });
    if (ours) {
      const archive = join(tarballs, tarballOf(ours.manifest));
      await run('tar', [
        '--extract',
        '--file',
        archive,
        '--directory',
        target,
        '--strip-components=1',
      ]);
    } else {
      await cp(source, target, {
        recursive: true,
        filter: (file) => !file.endsWith('/node_modules'),
      });
    }
    const manifest = await readManifest(target);
    installed.set(name, { folder: target, manifest });
    for (const dependency of Object.keys(manifest.dependencies ?? {}))
      await install(dependency, source);
  }

  await install('@sallyport/gateway', rootFolder);
  return [...installed.values()];
}

/** Finds a package as Node does. @throws Error when it is not installed: run npx -y pnpm@10 install */
function findPackage(name: string, from: string): string {
  return dirname(
    realpathSync(findPackageJSON(name, pathToFileURL(join(from, 'package.json'))) ?? name),
  );
}

/**
 * Reads the version of the checkout, its commit, and the time of that commit. SOURCE_DATE_EPOCH replaces the time.
 *
 * @param level the level of gzip
 * @see https://reproducible-builds.org/specs/source-date-epoch/
 */
export async function readSource(level = 6): Promise<ImageDetails> {
  const [committed = '', revision = ''] = (await run('git', ['log', '-1', '--format=%ct %H']))
    .trim()
    .split(' ');
  const { version } = await readManifest(join(rootFolder, 'apps/gateway'));
  return { version, revision, level, epoch: Number(process.env.SOURCE_DATE_EPOCH ?? committed) };
}
