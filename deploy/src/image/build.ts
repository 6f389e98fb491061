import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ComponentType } from '@cyclonedx/cyclonedx-library/Enums';
import { billOfMaterials, npmComponents, systemComponents } from '../bill-of-materials.ts';
import { rootFolder } from '../run.ts';
import { architecture, type ImageDetails, writeImage } from './layout.ts';
import { layers, stageImage } from './stage.ts';

export interface BuiltImage {
  /** Of the manifest: what a Deployment names. */
  readonly digest: string;
  /** The folder with the OCI image layout. */
  readonly layout: string;
  /** The CycloneDX bill of materials. */
  readonly billOfMaterials: string;
}

/**
 * Builds the image for this machine's architecture, without a container engine and without a base. The folder then has the
 * layout, the files of each layer with a Dockerfile that copies them, and the bill of materials.
 *
 * @param tarballs the folder with the tarballs of our packages
 */
export async function buildImage(tarballs: string, folder: string, details: ImageDetails): Promise<BuiltImage> {
  await mkdir(folder, { recursive: true });
  const contents = await stageImage(tarballs, folder);
  await copyFile(join(rootFolder, 'deploy/image/Dockerfile'), join(folder, 'Dockerfile'));
  const layout = join(folder, 'layout');
  const digest = await writeImage(
    layers.map((layer) => join(folder, layer)),
    layout,
    details,
  );
  const components = [...systemComponents(contents.system), ...(await npmComponents(contents.packages))];
  const manifest = { name: `sallyport-linux-${architecture}`, version: details.version, license: 'Apache-2.0' };
  const bill = billOfMaterials({ type: ComponentType.Container, manifest }, components, details.epoch);
  await writeFile(join(folder, 'image.cdx.json'), bill);
  return { digest, layout, billOfMaterials: bill };
}
