import { posix } from 'node:path';
import { find, readPage } from './pages.ts';

/** A test that a page of `test` names in a cell: `[NAME.test.ts](path of the file) "title"`. */
export interface NamedTest {
  readonly cell: string;
  /** The path of the file from the root of the repository. */
  readonly file: string;
  readonly title: string;
}

/** @returns nothing where the cell names no test */
export function namedTestIn(cell: string): NamedTest | undefined {
  const [, name, path = '', title = ''] = /^\[(\S+\.test\.ts)\]\((\S+)\) "(.+)"$/.exec(cell) ?? [];
  if (name === undefined || !path.endsWith(name)) return undefined;
  return { cell, file: posix.join('test', path), title };
}

const testFiles: readonly string[] = find(
  '{apps/*,deploy,packages/*,scripts,site,test,test-docs,test-servers}/src/**/*.test.ts',
);
const texts = new Map(
  await Promise.all(testFiles.map(async (file) => [file, await readPage(file)] as const)),
);

const hasTitle = (file: string, title: string): boolean =>
  ["'", '"', '`'].some((quote) => texts.get(file)?.includes(quote + title + quote));

/** Finds what is wrong with a named test, and where it is now if it has moved. */
export function problemOf({ cell, file, title }: NamedTest): string | undefined {
  if (hasTitle(file, title)) return undefined;
  const found = testFiles.filter((other) => hasTitle(other, title));
  const where = found.length === 0 ? 'no file has this title' : `it is in ${found.join(' and ')}`;
  return `${cell}: ${where}`;
}

/** Corrects the files of tests that have moved, in the text of a page of `test`. */
export function withMovedTests(page: string, named: readonly NamedTest[]): string {
  return named.reduce((text, { cell, file, title }) => {
    const [found, ...others] = testFiles.filter((other) => hasTitle(other, title));
    if (hasTitle(file, title) || found === undefined || others.length > 0) return text;
    const link = `[${posix.basename(found)}](${posix.relative('test', found)})`;
    return text.replaceAll(cell, `${link} "${title}"`);
  }, page);
}
