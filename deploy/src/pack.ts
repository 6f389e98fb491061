/**
 * Packs all packages that are published into `packedFolder`. It is a task of Turborepo, so that it is done once for a release,
 * for an image and for all tests, until a file of a package changes.
 */
import { mkdir, rm } from 'node:fs/promises';
import { packedFolder } from './packages.ts';
import { pnpm } from './run.ts';

await rm(packedFolder, { recursive: true, force: true });
await mkdir(packedFolder, { recursive: true });
await pnpm('pack:built', packedFolder);
