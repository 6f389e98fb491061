import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Manifest } from '../packages.ts';
import type { buildRelease } from './build.ts';

/** The files to publish, in the folder of the release. */
type Artifacts = Awaited<ReturnType<typeof buildRelease>>;

/** The registries of images and charts: `registry.example.com/sallyport`, `registry.example.com/charts`. */
type Places = Readonly<Record<'image' | 'charts', string>>;

/**
 * Lists what publishing runs, in this order. cosign signs with the identity of the workflow (keyless), image and chart in the
 * same way, by their digests. npm makes a statement of provenance itself.
 */
export function publishingSteps(folder: string, artifacts: Artifacts, places: Places) {
  const { version, packages, image, chart, files } = artifacts;
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
  const page = [
    'release',
    'create',
    `v${version}`,
    '--verify-tag',
    '--notes-file',
    inFolder('RELEASE_NOTES.md'),
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
    { command: 'gh', words: [...page, ...files.map(inFolder)] },
  ];
}

/** Runs the steps, one after the other. @throws Error at the first that fails: what is published by then stays */
export async function publish(steps: ReturnType<typeof publishingSteps>): Promise<void> {
  for (const { command, words } of steps) await promisify(execFile)(command, words);
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
