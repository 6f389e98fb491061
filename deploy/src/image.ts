/** Builds the image into a folder: `image DIR`. */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { buildImage } from './image/build.ts';
import { packPackages, readSource } from './packages.ts';

const [folder = 'dist'] = process.argv.slice(2);
const output = resolve(process.env.INIT_CWD ?? '.', folder);
await mkdir(output, { recursive: true });
const tarballs = join(output, 'packages');
await packPackages(tarballs);
const { digest, layout } = await buildImage(tarballs, output, await readSource());
console.log(`built ${digest}\n  OCI image layout: ${layout}\n  for docker build: ${output}`);
