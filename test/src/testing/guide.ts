import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CodeBlock, codeBlocksOf } from './documents.ts';
import { rootFolder } from './pnpm.ts';

/** The guide for authors of plugins. */
export function readGuide(): Promise<string> {
  return readFile(join(rootFolder, 'packages/authenticator/README.md'), 'utf8');
}

/** The code of the guide: every block has a title, and each title is there once. */
export async function guideBlocks(): Promise<readonly CodeBlock[]> {
  return codeBlocksOf(await readGuide());
}

/** The lines of a block of the guide. @throws Error when there is no such block */
export async function guideLines(title: string): Promise<readonly string[]> {
  const found = (await guideBlocks()).find((block) => block.title === title);
  if (found === undefined) throw new Error(`the guide has no block ${title}`);
  return found.text.trim().split('\n');
}
