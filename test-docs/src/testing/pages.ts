import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rootFolder } from '@sallyport/test/pnpm';

const exclude = (path: string): boolean =>
  /(?:^|\/)(?:node_modules|test-results|dist|\.[^/]*)$|^(?:deploy|test)\/blocks$/.test(path);

/** The files of this repository that match, by their path in it. */
export const find = (pattern: string): string[] =>
  globSync(pattern, { cwd: rootFolder, exclude }).sort();

/** The pages that people write, by their path. */
export const pages: readonly string[] = find('**/*.md').filter(
  (page) => !page.startsWith('.') && !page.endsWith('CHANGELOG.md'),
);

/** The changelogs of the packages, by their path. */
export const changelogs: readonly string[] = find('**/CHANGELOG.md');

/** Reads a file by its path from the root of the repository. */
export const readPage = (path: string): Promise<string> => readFile(join(rootFolder, path), 'utf8');

/** Removes code blocks: what looks like a link, a heading or a message there is none. */
export const withoutCodeBlocks = (markdown: string): string =>
  markdown.replaceAll(/^ *```.*?^ *```$/gms, '');
