/**
 * Builds a release into a folder: `release [DIR]`. It publishes nothing, prints what publishing would run, and what is in the
 * way of that. With --strict it builds only when nothing is in the way. With --quick, for a trial, it builds the client for
 * this platform only, and compresses neither the image nor the client.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { findOwnPlatform, platforms } from './client/platforms.ts';
import { publicPackages, readSource } from './packages.ts';
import { buildRelease } from './release/build.ts';
import { pendingChanges, releasedChanges, releaseNotes } from './release/notes.ts';
import { obstacles, publishingSteps, readRelease } from './release/publish.ts';
import { run } from './run.ts';

const { values, positionals } = readArguments();
if (values.strict && values.quick)
  throw new Error('--quick is for trials: leave it out for a release');
const [folderName = 'release'] = positionals;
if (/^v?\d+\.\d+/.test(folderName))
  throw new Error(
    `${folderName}: DIR is a folder, and the version is that of the packages: run version-packages, and leave it out`,
  );
const folder = resolve(process.env.INIT_CWD ?? '.', folderName);
const source = await readSource(values.quick ? 0 : undefined);
const [released, pending] = await Promise.all([releasedChanges(source.version), pendingChanges()]);
const places = { image: process.env.RELEASE_IMAGE, charts: process.env.RELEASE_CHARTS };
const inTheWay = obstacles({
  version: source.version,
  packages: (await publicPackages()).map(({ manifest }) => manifest),
  changes: released.length,
  pending: pending.length,
  isClean: (await run('git', ['status', '--porcelain'])) === '',
  tag: (await run('git', ['tag', '--points-at', 'HEAD', '--list', `v${source.version}`])).trim(),
  places,
});
function readArguments() {
  try {
    return parseArgs({
      options: { strict: { type: 'boolean' }, quick: { type: 'boolean' } },
      allowPositionals: true,
    });
  } catch (error) {
    const [problem] = (error as Error).message.split('. ');
    console.error(
      `release: ${problem}\n  fix: it takes [DIR], --strict and --quick, and publishes nothing, so that it needs no trial run`,
    );
    return process.exit(2);
  }
}

if (values.strict && inTheWay.length > 0) {
  console.error(['nothing was built:', ...inTheWay].join('\n  '));
  process.exitCode = 1;
} else {
  const notes = releaseNotes(source.version, released.length > 0 ? released : pending);
  const ownPlatforms = platforms.filter((platform) => platform === findOwnPlatform());
  await buildRelease(folder, source, notes, values.quick ? ownPlatforms : platforms);
  const release = await readRelease(folder);
  const { image = 'registry.example.com/sallyport', charts = 'registry.example.com/charts' } =
    places;
  console.log(`built ${source.version} in ${folder}, with the image ${release.image.digest}`);
  console.log(
    'Nothing is published. .github/workflows/release.yaml does that, for a tag. It would run:',
  );
  for (const { command, words } of publishingSteps(folder, release, { image, charts }))
    console.log(`  ${[command, ...words].join(' ')}`);
  if (inTheWay.length > 0) console.log(['In the way of that is:', ...inTheWay].join('\n  '));
}
