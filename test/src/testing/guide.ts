import { execFile } from 'node:child_process';
import { cp, mkdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { blocksOf, type CodeBlock } from './documents.ts';
import { temporaryFolder } from './folder.ts';
import { rootFolder } from './pnpm.ts';

/** Reads the code of the guide: every block has a title, and each title is there once. */
export async function guideBlocks(): Promise<readonly CodeBlock[]> {
  return await blocksOf('packages/authenticator/README.md');
}

/** Reads the lines of a block of the guide. @throws Error when the guide does not have it */
export async function guideLines(title: string): Promise<readonly string[]> {
  const found = (await guideBlocks()).find((block) => block.title === title);
  if (found === undefined) throw new Error(`the guide has no block ${title}`);
  return found.text.trim().split('\n');
}

/** Copies the plugin of the guide next to what `npm create` writes, with what a plugin may import. @returns the folder */
export async function writeGuide(): Promise<string> {
  const parent = await temporaryFolder('guide');
  const cli = join(rootFolder, 'packages/create-authenticator/src/cli.ts');
  await promisify(execFile)(process.execPath, [cli, 'tickets'], { cwd: parent });
  const folder = join(parent, 'tickets');
  const example = join(rootFolder, 'packages/authenticator/examples/users');
  await cp(example, join(folder, 'src'), { recursive: true });
  const packages = {
    '@sallyport/authenticator': join(rootFolder, 'packages/authenticator'),
    '@types/node': join(rootFolder, 'node_modules/@types/node'),
    zod: join(rootFolder, 'packages/plugin-kit/node_modules/zod'),
  };
  for (const [name, target] of Object.entries(packages)) {
    await mkdir(dirname(join(folder, 'node_modules', name)), { recursive: true });
    await symlink(target, join(folder, 'node_modules', name));
  }
  return folder;
}
