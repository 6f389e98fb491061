import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { ComponentType } from '@cyclonedx/cyclonedx-library/Enums';
import { parse } from 'yaml';
import { billOfMaterials, npmComponents } from '../bill-of-materials.ts';
import { writeChecksums } from '../checksums.ts';
import type { Platform } from '../client/platforms.ts';
import { buildImage } from '../image/build.ts';
import { architecture, type ImageDetails, tarFolder, writeChart } from '../image/layout.ts';
import { installGateway, packPackages } from '../packages.ts';
import { rootFolder } from '../run.ts';
import { releaseExecutables } from './executable.ts';

/**
 * Builds everything that a release contains into a new folder: the packages, the programs for people without Node, the image,
 * the chart and the manifests, bills of materials, the notes, and the checksums of all of these.
 *
 * @param platforms which programs it has
 */
export async function buildRelease(
  folder: string,
  source: ImageDetails,
  notes: string,
  platforms: readonly Platform[],
): Promise<void> {
  const { version, epoch } = source;
  const work = join(folder, 'work');
  await rm(folder, { recursive: true, force: true });
  await mkdir(work, { recursive: true });

  await packPackages(folder);

  await releaseExecutables(folder, join(work, 'client'), platforms, source);

  const image = {
    archive: `sallyport-${version}-linux-${architecture}.oci.tar`,
    billOfMaterials: `sallyport-${version}-linux-${architecture}.cdx.json`,
  };
  const built = await buildImage(folder, join(work, 'image'), source);
  await writeFile(join(folder, image.archive), await tarFolder(built.layout, epoch));
  await writeFile(join(folder, image.billOfMaterials), built.billOfMaterials);

  const installed = await npmComponents(await installGateway(folder, join(work, 'packages')));
  const manifest = { name: 'sallyport', version, license: 'Apache-2.0' };
  const bill = billOfMaterials({ type: ComponentType.Application, manifest }, installed, epoch);
  await writeFile(join(folder, `sallyport-${version}-packages.cdx.json`), bill);

  const chart = `sallyport-${version}.tgz`;
  const deploy = join(rootFolder, 'deploy');
  await archive(join(deploy, 'helm'), 'sallyport', join(folder, chart), work, epoch);
  const charts = `sallyport-${version}-chart.oci.tar`;
  const metadata = parse(await readFile(join(deploy, 'helm/sallyport/Chart.yaml'), 'utf8'));
  const chartLayout = join(work, 'chart');
  await writeChart(await readFile(join(folder, chart)), metadata, chartLayout, version);
  await writeFile(join(folder, charts), await tarFolder(chartLayout, epoch));
  await archive(
    deploy,
    'kubernetes',
    join(folder, `sallyport-${version}-kubernetes.tar.gz`),
    work,
    epoch,
  );

  await writeFile(join(folder, 'RELEASE_NOTES.md'), notes);
  await rm(work, { recursive: true });
  await writeChecksums(folder);
}

/** Packs a folder with its name; links in it become what they lead to, as Helm does it. */
async function archive(
  parent: string,
  name: string,
  file: string,
  work: string,
  epoch: number,
): Promise<void> {
  const staged = join(work, 'archive');
  await rm(staged, { recursive: true, force: true });
  await cp(join(parent, name), join(staged, name), { recursive: true, dereference: true });
  await writeFile(file, await promisify(gzip)(await tarFolder(staged, epoch)));
}
