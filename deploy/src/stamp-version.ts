/** Writes the version of the gateway into the manifests and the chart, after changesets has changed it: `version-packages`. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readSource } from './packages.ts';
import { rootFolder } from './run.ts';

const { version } = await readSource();

const places: readonly (readonly [file: string, pattern: RegExp])[] = [
  ['helm/sallyport/Chart.yaml', /(?<=^(?:version|appVersion): ).*$/gm],
  ['kubernetes/base/deployment.yaml', /(?<=image: registry\.example\.com\/sallyport:).*$/gm],
];

for (const [name, pattern] of places) {
  const file = join(rootFolder, 'deploy', name);
  await writeFile(file, (await readFile(file, 'utf8')).replaceAll(pattern, version));
}
