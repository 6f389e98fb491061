import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Factories } from '@cyclonedx/cyclonedx-library/Contrib/License';
import { ComponentType } from '@cyclonedx/cyclonedx-library/Enums';
import {
  Bom,
  Component,
  ComponentRepository,
  LicenseRepository,
  Metadata,
} from '@cyclonedx/cyclonedx-library/Models';
import { JSON as CycloneDxJson, JsonSerializer } from '@cyclonedx/cyclonedx-library/Serialize';
import { Spec1dot6 } from '@cyclonedx/cyclonedx-library/Spec';
import { PackageURL } from 'packageurl-js';
import parseLicense from 'spdx-expression-parse';
import type { Manifest, Package } from './packages.ts';

/** A package of Debian whose files are shipped. */
export type SystemPackage = Readonly<Record<'name' | 'version' | 'architecture', string>>;

type Subject = Pick<Manifest, 'name' | 'version' | 'license'>;

const licenses = new Factories.LicenseFactory(parseLicense);

function component(
  type: ComponentType,
  { name, version, license }: Subject,
  purl: PackageURL,
  inside: Iterable<Component> = [],
): Component {
  const text = purl.toString();
  return new Component(type, name, {
    bomRef: text,
    version,
    purl: text,
    licenses: new LicenseRepository(
      license === undefined ? [] : [licenses.makeFromString(license)],
    ),
    components: new ComponentRepository(inside),
  });
}

function generic(name: string, version: string): PackageURL {
  return new PackageURL('generic', undefined, name, version, undefined, undefined);
}

function npmComponent(manifest: Subject, inside?: Iterable<Component>): Component {
  const [name = '', scope] = manifest.name.split('/').reverse();
  const purl = new PackageURL('npm', scope, name, manifest.version, undefined, undefined);
  return component(ComponentType.Library, manifest, purl, inside);
}

/** Describes npm packages. A package of ours also lists what its bundles contain. */
export function npmComponents(packages: readonly Package[]): Promise<readonly Component[]> {
  return Promise.all(
    packages.map(async ({ folder, manifest }) => {
      const list = join(folder, 'dist/bundled.json');
      const bundled = existsSync(list)
        ? (JSON.parse(await readFile(list, 'utf8')) as Manifest[])
        : [];
      const inside = bundled.map((one) => {
        const inner = npmComponent(one);
        // The same library may be in several bundles, and a reference is for one of them.
        inner.bomRef.value = `${manifest.name}>${inner.bomRef.value}`;
        return inner;
      });
      return npmComponent(manifest, inside);
    }),
  );
}

/** The entries of `process.versions` that are not versions of libraries. */
const numbersOfInterfaces = ['node', 'modules', 'napi'];

/** Describes this Node, with its own libraries, and packages of Debian. */
export function systemComponents(packages: readonly SystemPackage[]): readonly Component[] {
  const libraries = Object.entries(process.versions)
    .filter(([name]) => !numbersOfInterfaces.includes(name))
    .map(([name, version = '']) =>
      component(ComponentType.Library, { name, version }, generic(name, version)),
    );
  const { node } = process.versions;
  const runtime = { name: 'node', version: node, license: 'MIT' };
  return [
    component(ComponentType.Platform, runtime, generic('node', node), libraries),
    ...packages.map(({ name, version, architecture }) => {
      const purl = new PackageURL(
        'deb',
        'debian',
        name,
        version,
        { arch: architecture },
        undefined,
      );
      return component(ComponentType.Library, { name, version }, purl);
    }),
  ];
}

/**
 * Writes a CycloneDX bill of materials. The same components give the same text.
 *
 * @param epoch the time of the bill, in seconds since 1970
 */
export function billOfMaterials(
  { type, manifest }: { readonly type: ComponentType; readonly manifest: Subject },
  components: readonly Component[],
  epoch: number,
): string {
  const main = component(type, manifest, generic(manifest.name, manifest.version));
  const bom = new Bom({
    metadata: new Metadata({ timestamp: new Date(epoch * 1000), component: main }),
    components: new ComponentRepository(components),
  });
  const serializer = new JsonSerializer(new CycloneDxJson.Normalize.Factory(Spec1dot6));
  return `${serializer.serialize(bom, { sortLists: true, space: 2 })}\n`;
}
