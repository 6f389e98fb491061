import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ComponentType } from '@cyclonedx/cyclonedx-library/Enums';
import { billOfMaterials, npmComponents, systemComponents } from '../bill-of-materials.ts';
import { buildClient } from '../client/build.ts';
import type { Platform } from '../client/platforms.ts';
import { commandName } from '../client/program.ts';
import type { ImageDetails } from '../image/layout.ts';
import { readManifest, tarballOf } from '../packages.ts';
import { rootFolder, run } from '../run.ts';

/**
 * Builds the release for people without Node: for each platform an archive with the program and its bill of materials, and what
 * krew and Homebrew need.
 *
 * @param folder the folder with the tarballs of our packages, into which these files are written
 */
export async function releaseExecutables(
  folder: string,
  work: string,
  platforms: readonly Platform[],
  source: ImageDetails,
): Promise<void> {
  const { version, epoch } = source;
  const bundle = join(work, 'bundle');
  await mkdir(bundle, { recursive: true });
  const manifest = await readManifest(join(rootFolder, 'packages', commandName));
  const tarball = join(folder, tarballOf(manifest));
  await run('tar', ['--extract', '--file', tarball, '--directory', bundle, '--strip-components=1']);
  const url = new URL(`https://REPLACE.example.com/sallyport/releases/download/v${version}`);
  await buildClient(folder, bundle, work, platforms, { source, url });
  const components = [
    ...systemComponents([]),
    ...(await npmComponents([{ folder: bundle, manifest }])),
  ];
  for (const platform of platforms) {
    const subject = { name: `${commandName}-${platform.name}`, version, license: 'Apache-2.0' };
    const bill = billOfMaterials(
      { type: ComponentType.Application, manifest: subject },
      components,
      epoch,
    );
    await writeFile(join(folder, `${commandName}-${version}-${platform.name}.cdx.json`), bill);
  }
}
