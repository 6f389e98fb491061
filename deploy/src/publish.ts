/**
 * Publishes a release that was built: `publish DIR`. It imports nothing that has to be installed, so that no code of others runs
 * where the identity of the release is.
 */
import { resolve } from 'node:path';
import { publish, publishingSteps, readRelease } from './release/publish.ts';

const { RELEASE_IMAGE: image, RELEASE_CHARTS: charts, GITHUB_REF_NAME: tag } = process.env;
if (!image || !charts)
  throw new Error('RELEASE_IMAGE and RELEASE_CHARTS must be set. `release` says what they are');
const folder = resolve(process.argv[2] ?? 'release');
const release = await readRelease(folder);
if (tag !== `v${release.version}`)
  throw new Error(
    `the release is ${release.version}, and the tag of this run (GITHUB_REF_NAME) is ${tag}`,
  );
await publish(publishingSteps(folder, release, { image, charts }));
console.log(`published ${release.version}`);
