import { join } from 'node:path';
import type { ImageDetails } from './image/layout.ts';
import { readManifest } from './packages.ts';
import { rootFolder, run } from './run.ts';

/**
 * What is built from the checkout: its version, its commit, and the time of that commit. SOURCE_DATE_EPOCH replaces the time.
 *
 * @see https://reproducible-builds.org/specs/source-date-epoch/
 */
export async function readSource(): Promise<ImageDetails> {
  const [committed = '', revision = ''] = (await run('git', ['log', '-1', '--format=%ct %H'])).trim().split(' ');
  const { version } = await readManifest(join(rootFolder, 'apps/gateway'));
  return { version, revision, epoch: Number(process.env.SOURCE_DATE_EPOCH ?? committed) };
}
