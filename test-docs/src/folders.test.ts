import { existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readPictures } from '@sallyport/scripts/folder-order';
import { rootFolder } from '@sallyport/test/pnpm';
import { expect, test } from 'vitest';
import { find, readPage } from './testing/pages.ts';

const isFolder = (path: string) =>
  existsSync(join(rootFolder, path)) && statSync(join(rootFolder, path)).isDirectory();

/** The folders that say what they are for: those of the pictures, and the sources of each package. */
const folders = [
  ...readPictures(await readPage('docs/contributing/architecture.md'))
    .flatMap(({ source, rows }) => [source, ...rows.flat().map((name) => `${source}/${name}`)])
    .filter((path) => /^(apps|packages)\//.test(path)),
  ...find('packages/*/src'),
].filter((path, index, all) => isFolder(path) && all.indexOf(path) === index);

/** What each line after the first says of a folder. */
const subjects = ['In', 'Out', 'Called by', 'Must not know'];

test('there are folders in the pictures and in the packages', () => {
  expect(folders).toContain('apps/gateway/src/engine/cache');
  expect(folders).toContain('packages/plugin-kit/src');
});

test.each(folders)('%s/README.md says what the folder is for, in five lines', async (folder) => {
  const page = await readPage(`${folder}/README.md`);
  const [title, blank, purpose = '', ...lines] = page.trimEnd().split('\n');
  const name = basename(folder) === 'src' ? basename(join(folder, '..')) : basename(folder);
  expect([title, blank]).toEqual([`# ${name}`, '']);
  expect(purpose).toMatch(/^[A-Z`].+\.$/);
  // After these lines, login/ tells its flow.
  const ofFolder = lines.slice(0, subjects.length);
  expect(ofFolder.map((line) => /^- \*\*(.+)\*\*: .+\.$/.exec(line)?.[1])).toEqual(subjects);
  expect(Math.max(purpose.length, ...ofFolder.map(({ length }) => length))).toBeLessThanOrEqual(
    200,
  );
});

test.each(folders)('%s/README.md names files that exist', async (folder) => {
  const page = await readPage(`${folder}/README.md`);
  const named = [...page.matchAll(/`([\w./-]+\.(?:ts|js))`/g)].map(([, file = '']) => file);
  // In the folder, the one around it, or the source folder of the package.
  const places = [folder, join(folder, '..'), folder.replace(/(\/src)\/.*/, '$1')];
  expect(
    named.filter((file) => !places.some((place) => existsSync(join(rootFolder, place, file)))),
  ).toEqual([]);
});
