import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Manifest } from '../packages.ts';

const execute = promisify(execFile);

/** The registries of images and charts: `registry.example.com/sallyport`, `registry.example.com/charts`. */
type Places = Readonly<Record<'image' | 'charts', string>>;

/** npm publishes without a token since this version. @see https://docs.npmjs.com/trusted-publishers */
const oldestNpm = '11.5.1';

/** Reads the names in SHA256SUMS. @throws Error when a line is none of `sha256sum`'s, or a file has another checksum */
async function checkSums(folder: string): Promise<readonly string[]> {
  const sums = await readFile(join(folder, 'SHA256SUMS'), 'utf8');
  const names: string[] = [];
  for (const line of sums.replace(/\n$/, '').split('\n')) {
    const [, sum, name] = /^([0-9a-f]{64}) {2}([\w.-]+)$/.exec(line) ?? [];
    if (name === undefined)
      throw new Error(`SHA256SUMS has a line that names no file: build the release again`);
    if (hash('sha256', await readFile(join(folder, name))) !== sum)
      throw new Error(`${name} does not have its checksum in SHA256SUMS: build the release again`);
    names.push(name);
  }
  return names;
}

/**
 * Reads what a built release contains from its SHA256SUMS, and checks every file against it.
 *
 * @returns what is published: `packages` are the names of the tarballs for npm, `files` all names for the release page
 * @throws Error when a file is missing or was changed
 */
export async function readRelease(folder: string) {
  const names = await checkSums(folder);

  /** Finds the one file whose name matches. */
  const find = (pattern: RegExp): string => {
    const [found, ...others] = names.filter((name) => pattern.test(name));
    if (found === undefined || others.length > 0)
      throw new Error(`SHA256SUMS must name exactly one file ${pattern}: build the release again`);
    return found;
  };
  const bill = find(/^sallyport-.+-packages\.cdx\.json$/);
  const version = bill.slice('sallyport-'.length, -'-packages.cdx.json'.length);
  const image = find(/^sallyport-.+-linux-\w+\.oci\.tar$/);
  const chart = find(/^sallyport-.+-chart\.oci\.tar$/);
  return {
    version,
    notes: find(/^RELEASE_NOTES\.md$/),
    packages: names.filter((name) => name.endsWith('.tgz') && name !== `sallyport-${version}.tgz`),
    image: {
      archive: image,
      billOfMaterials: find(/^sallyport-.+-linux-\w+\.cdx\.json$/),
      digest: await digestOf(join(folder, image)),
    },
    chart: { archive: chart, digest: await digestOf(join(folder, chart)) },
    files: [...names, 'SHA256SUMS'],
  };
}

/** Reads the digest of an image or a chart from its OCI archive. */
async function digestOf(archive: string): Promise<string> {
  const words = ['--extract', '--to-stdout', '--file', archive, 'index.json'];
  const { stdout } = await execute('tar', words);
  return JSON.parse(stdout).manifests[0].digest;
}

/**
 * Lists what publishing runs, in this order. npm and cosign sign with the identity of the workflow (keyless), cosign the image
 * and the chart by their digests, and the files of the release page by their checksums.
 */
export function publishingSteps(
  folder: string,
  release: Awaited<ReturnType<typeof readRelease>>,
  places: Places,
) {
  const { version, notes, packages, image, chart, files } = release;
  const inFolder = (name: string) => join(folder, name);
  const images = `${places.image}@${image.digest}`;
  const charts = `${places.charts}/sallyport`;
  const push = (archive: string, place: string) => ({
    command: 'skopeo',
    words: [
      'copy',
      '--preserve-digests',
      `oci-archive:${inFolder(archive)}`,
      `docker://${place}:${version}`,
    ],
  });
  const attest = [
    'attest',
    '--yes',
    '--type',
    'cyclonedx',
    '--predicate',
    inFolder(image.billOfMaterials),
    images,
  ];
  const signature = 'SHA256SUMS.sigstore.json';
  const signSums = [
    'sign-blob',
    '--yes',
    '--new-bundle-format',
    '--bundle',
    inFolder(signature),
    inFolder('SHA256SUMS'),
  ];
  const page = [
    'release',
    'create',
    `v${version}`,
    '--verify-tag',
    '--notes-file',
    inFolder(notes),
  ];
  return [
    ...packages.map((name) => ({
      command: 'npm',
      words: ['publish', inFolder(name), '--provenance', '--access', 'public'],
    })),
    push(image.archive, places.image),
    { command: 'cosign', words: ['sign', '--yes', images] },
    { command: 'cosign', words: attest },
    push(chart.archive, charts),
    { command: 'cosign', words: ['sign', '--yes', `${charts}@${chart.digest}`] },
    { command: 'cosign', words: signSums },
    { command: 'gh', words: [...page, ...[...files, signature].map(inFolder)] },
  ];
}

/** Whether npm has this package already, because an earlier run failed after it. @throws Error when npm has another one */
async function isPublished(tarball: string): Promise<boolean> {
  const words = ['--extract', '--gzip', '--to-stdout', '--file', tarball, 'package/package.json'];
  const { name, version }: Manifest = JSON.parse((await execute('tar', words)).stdout);
  const asked = ['view', '--prefer-online', `${name}@${version}`, 'dist.integrity'];
  const integrity = await execute('npm', asked).then(
    ({ stdout }) => stdout.trim(),
    (error: Error) => {
      // npm answers this where it has no such package or version.
      if (error.message.includes('E404')) return '';
      throw error;
    },
  );
  if (integrity === '') return false;
  if (integrity !== `sha512-${hash('sha512', await readFile(tarball), 'base64')}`)
    throw new Error(`npm has ${name}@${version} with other content: release another version`);
  return true;
}

/**
 * Prints and runs the steps, one after the other. Running them again does no harm: a package that npm has is not published twice.
 *
 * @throws Error before the first when npm is too old, else at the first that fails: what is published by then stays
 */
export async function publish(steps: ReturnType<typeof publishingSteps>): Promise<void> {
  const version = (await execute('npm', ['--version'])).stdout.trim();
  if (version.localeCompare(oldestNpm, undefined, { numeric: true }) < 0)
    throw new Error(
      `npm ${version} can't publish without a token, so nothing was published: npm ${oldestNpm} or later is needed`,
    );
  for (const { command, words } of steps) {
    const isDone = command === 'npm' && (await isPublished(words[1] ?? ''));
    console.log([isDone ? 'done before:' : 'running:', command, ...words].join(' '));
    if (!isDone) await execute(command, words);
  }
}

/**
 * Says what keeps a release from being published. A version can't be published twice, so each of these is checked before.
 *
 * @param state of the checkout and of the environment
 */
export function obstacles(state: {
  readonly version: string;
  readonly packages: readonly Pick<Manifest, 'name' | 'version' | 'repository'>[];
  readonly changes: number;
  readonly pending: number;
  readonly isClean: boolean;
  readonly tag: string;
  readonly places: { readonly [Place in keyof Places]?: string | undefined };
}): readonly string[] {
  const { version, packages, changes, pending, isClean, tag, places } = state;
  const versions = [...new Set(packages.map((one) => one.version))];
  const homeless = packages
    .filter(({ repository }) => repository === undefined)
    .map(({ name }) => name);
  return [
    versions.every((one) => one === version)
      ? ''
      : `the packages have several versions: ${versions.join(', ')}`,
    homeless.length === 0
      ? ''
      : `package.json has no "repository", which provenance needs, in ${homeless.join(', ')}`,
    changes > 0
      ? ''
      : `no CHANGELOG.md has changes of ${version}: run npx -y pnpm@10 version-packages`,
    pending === 0
      ? ''
      : `${pending} changesets are in no version yet: run npx -y pnpm@10 version-packages`,
    isClean
      ? ''
      : 'the checkout has changes that are not committed: what is published must be what the commit has',
    tag === `v${version}` ? '' : `the commit has not the tag v${version}: set it`,
    places.image
      ? ''
      : 'RELEASE_IMAGE is not set: the repository of the image, such as registry.example.com/sallyport',
    places.charts
      ? ''
      : 'RELEASE_CHARTS is not set: where charts go, such as registry.example.com/charts',
  ].filter((obstacle) => obstacle !== '');
}
