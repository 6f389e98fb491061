import { globSync } from 'node:fs';
import { chmod, copyFile, mkdir, realpath, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ComponentType } from '@cyclonedx/cyclonedx-library/Enums';
import {
  billOfMaterials,
  npmComponents,
  type SystemPackage,
  systemComponents,
} from '../bill-of-materials.ts';
import { installGateway } from '../packages.ts';
import { rootFolder, run } from '../run.ts';
import { architecture, type ImageDetails, writeImage } from './layout.ts';

/**
 * Builds the image for this machine's architecture, without a container engine and without a base image. The folder then has
 * the layout, the files of each layer with a Dockerfile that copies them, and the bill of materials.
 *
 * @param tarballs the folder with the tarballs of our packages
 * @returns the digest of the manifest, which a Deployment names; the folder with the layout; and the text of the bill of materials
 */
export async function buildImage(tarballs: string, folder: string, details: ImageDetails) {
  await mkdir(folder, { recursive: true });
  const contents = await stageImage(tarballs, folder);
  await copyFile(join(rootFolder, 'deploy/image/Dockerfile'), join(folder, 'Dockerfile'));
  const layout = join(folder, 'layout');
  const folders = layers.map((layer) => join(folder, layer));
  const digest = await writeImage(folders, layout, details);
  const components = [
    ...systemComponents(contents.system),
    ...(await npmComponents(contents.packages)),
  ];
  const manifest = {
    name: `sallyport-linux-${architecture}`,
    version: details.version,
    license: 'Apache-2.0',
  };
  const bill = billOfMaterials(
    { type: ComponentType.Container, manifest },
    components,
    details.epoch,
  );
  await writeFile(join(folder, 'image.cdx.json'), bill);
  return { digest, layout, billOfMaterials: bill };
}

/** The folders of the build that become layers of the image. The one that changes least is first. */
export const layers = ['system', 'app'] as const;

const node = '/usr/local/bin/node';

const files: Readonly<Record<string, string>> = {
  '/etc/passwd': 'sallyport:x:65532:65532:Sallyport:/:/sbin/nologin\n',
  '/etc/group': 'sallyport:x:65532:\n',
  '/etc/nsswitch.conf': 'hosts: files dns\n',
};

/**
 * The kernel runs Node itself for this file, so the image needs no shell. The flag keeps SIGUSR1 from opening the inspector.
 * The name is what `kubectl exec POD -- sallyport check` calls.
 */
const command = `#!${node} --disable-sigusr1\nimport('/app/node_modules/@sallyport/gateway/dist/sallyport.js');\n`;

/**
 * Lays out what the image has, in the folder of each layer: this Node without its symbols, the C libraries that it is linked
 * with, the command, and the gateway from its tarballs. Node brings its own CA certificates and time zones.
 *
 * @returns the content for the bill of materials
 * @throws Error when this machine is not a Debian: the libraries and their versions come from its packages
 */
async function stageImage(tarballs: string, folder: string) {
  const [system, app] = layers.map((layer) => join(folder, layer)) as [string, string];
  for (const layer of layers) await rm(join(folder, layer), { recursive: true, force: true });
  await place(process.execPath, system, node);
  await run('strip', [join(system, node)]);
  await chmod(join(system, node), 0o755);
  const libraries = await librariesOf(process.execPath);
  for (const library of libraries) await place(library, system, library);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(system, path)), { recursive: true });
    await writeFile(join(system, path), text);
  }
  await mkdir(join(system, 'etc/sallyport'));
  const packages = await installGateway(tarballs, join(app, 'app'));
  // Nothing reads types, sources and documents there. A package of others may have tests next to its code.
  for (const name of globSync('**/{*.d.ts,*.d.cts,*.d.mts,*.map,*.md,test,tests}', { cwd: app })) {
    await rm(join(app, name), { recursive: true, force: true });
  }
  await mkdir(join(app, 'usr/local/bin'), { recursive: true });
  await writeFile(join(app, 'usr/local/bin/sallyport'), command, { mode: 0o755 });
  return { system: await debianPackagesOf(libraries), packages };
}

async function place(file: string, folder: string, path: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await copyFile(file, join(folder, path));
}

/** The paths by which the loader finds the shared libraries of a program, and the loader itself. */
async function librariesOf(program: string): Promise<readonly string[]> {
  const found = (await run('ldd', [program])).match(/(?<=\s)\/\S+/g) ?? [];
  return [...new Set(found)].sort();
}

async function debianPackagesOf(libraries: readonly string[]): Promise<readonly SystemPackage[]> {
  const paths = await Promise.all(libraries.map((library) => realpath(library)));
  const owners = (await run('dpkg-query', ['--search', ...paths]))
    .split('\n')
    .map((line) => line.split(': ')[0] ?? '');
  const names = [...new Set(owners.filter((owner) => owner !== ''))];
  // Each line is `libc6:amd64`, a tab and the version.
  const lines = (await run('dpkg-query', ['--show', ...names])).trim().split('\n');
  return lines.map((line): SystemPackage => {
    const [owner = '', version = ''] = line.split('\t');
    const [name = '', architecture = ''] = owner.split(':');
    return { name, version, architecture };
  });
}
