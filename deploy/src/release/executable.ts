import { hash } from 'node:crypto';
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { ComponentType } from '@cyclonedx/cyclonedx-library/Enums';
import { parse, stringify } from 'yaml';
import { billOfMaterials, npmComponents, systemComponents } from '../bill-of-materials.ts';
import { architecture, type ImageDetails, tarFolder } from '../image/layout.ts';
import { readManifest, tarballOf } from '../packages.ts';
import { rootFolder, run } from '../run.ts';

const name = 'kubectl-sallyport';

/**
 * Builds the release for people without Node: an archive with a program for this machine's platform, its bill of materials, and
 * the manifest by which krew finds it.
 *
 * @param folder the folder with the tarballs of our packages, into which these files are written
 */
export async function releaseExecutable(
  folder: string,
  work: string,
  { version, epoch, level }: ImageDetails,
): Promise<void> {
  const [bundle, staged] = [join(work, 'bundle'), join(work, 'executable')];
  for (const each of [bundle, staged]) await mkdir(each, { recursive: true });
  const ours = await readManifest(join(rootFolder, 'packages', name));
  const tarball = join(folder, tarballOf(ours));
  await run('tar', ['--extract', '--file', tarball, '--directory', bundle, '--strip-components=1']);
  await buildExecutable(join(bundle, `dist/${name}.js`), join(staged, name));
  await copyFile(join(bundle, 'LICENSE'), join(staged, 'LICENSE'));
  await copyFile(
    join(bundle, 'dist/THIRD-PARTY-LICENSES.txt'),
    join(staged, 'THIRD-PARTY-LICENSES.txt'),
  );
  await copyFile(join(dirname(process.execPath), '../LICENSE'), join(staged, 'NODE-LICENSE'));
  const bytes = await promisify(gzip)(await tarFolder(staged, epoch), { level });
  const platform = `${process.platform}-${architecture}`;
  const archive = `${name}-${version}-${platform}.tar.gz`;
  await writeFile(join(folder, archive), bytes);
  const template = await readFile(join(rootFolder, 'deploy/krew/sallyport.yaml'), 'utf8');
  const sha256 = hash('sha256', bytes);
  await writeFile(
    join(folder, 'sallyport.yaml'),
    krewManifest(template, { version, archive, sha256 }),
  );
  const components = [
    ...systemComponents([]),
    ...(await npmComponents([{ folder: bundle, manifest: ours }])),
  ];
  const subject = { name: `${name}-${platform}`, version, license: 'Apache-2.0' };
  const bill = billOfMaterials(
    { type: ComponentType.Application, manifest: subject },
    components,
    epoch,
  );
  await writeFile(join(folder, `${name}-${version}-${platform}.cdx.json`), bill);
}

/**
 * Builds a program from this Node, without its symbols, and one file of JavaScript.
 *
 * @see https://nodejs.org/api/single-executable-applications.html
 */
async function buildExecutable(main: string, output: string): Promise<void> {
  const node = `${output}.node`;
  await copyFile(process.execPath, node);
  await chmod(node, 0o755);
  if (process.platform === 'linux') await run('strip', [node]);
  const config = `${output}.json`;
  const flags = { disableExperimentalSEAWarning: true, execArgvExtension: 'none' };
  await writeFile(
    config,
    JSON.stringify({ main, mainFormat: 'module', executable: node, output, ...flags }),
  );
  await run(process.execPath, ['--build-sea', config]);
  for (const file of [node, config]) await rm(file);
}

/** Fills in the template. Everything else in it stays. */
function krewManifest(
  template: string,
  { version, archive, sha256 }: Readonly<Record<'version' | 'archive' | 'sha256', string>>,
): string {
  const plugin = parse(template);
  const [platform] = plugin.spec.platforms;
  const uri = new URL(`../v${version}/${archive}`, platform.uri).href;
  const selector = { matchLabels: { os: process.platform, arch: architecture } };
  const spec = {
    ...plugin.spec,
    version: `v${version}`,
    platforms: [{ ...platform, selector, uri, sha256 }],
  };
  return stringify({ ...plugin, spec });
}
