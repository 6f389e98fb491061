import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const page = await readFile(new URL('../promises.md', import.meta.url), 'utf8');
const [promised = '', failing = ''] = page.split('\n## Failures of real servers and clients\n');

interface Row {
  readonly line: string;
  readonly subject: string;
  readonly file: string;
  readonly title: string;
}

/** The rows of all tables of `text`, without their headings. */
function rowsOf(text: string): Row[] {
  const lines = text
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| (Promise|Failure|---)/.test(line));
  return lines.map((line) => {
    const cells = line.slice(2, -2).split(' | ');
    const [, file = '', title = ''] =
      /^\[(.+?)\]\(src\/\1\) "(.+)"$/.exec(cells.at(-1) ?? '') ?? [];
    return { line, subject: cells[0] ?? '', file, title };
  });
}

const promises = rowsOf(promised);
const failures = rowsOf(failing);
const rows = [...promises, ...failures];
const folder = fileURLToPath(new URL('.', import.meta.url));
const files = (await readdir(folder, { recursive: true }))
  .filter((file) => file.endsWith('.test.ts'))
  .sort();

// Logins in a browser brought ten, the third audit the last twenty.
test('there are 60 to 210 promises, and each row names one test', () => {
  expect(promises.length).toBeGreaterThanOrEqual(60);
  expect(promises.length).toBeLessThanOrEqual(210);
  expect(rows.filter(({ file }) => file === '').map(({ line }) => line)).toEqual([]);
});

test('no promise and no failure is there twice', () => {
  const subjects = rows.map(({ subject }) => subject.toLowerCase());
  expect(subjects.filter((subject, index) => subjects.indexOf(subject) !== index)).toEqual([]);
});

test('each test that is named exists', async () => {
  const texts = new Map(
    await Promise.all(
      files.map(async (file) => [file, await readFile(`${folder}${file}`, 'utf8')] as const),
    ),
  );
  const isTitle = ({ file, title }: Row) =>
    ["'", '"', '`'].some((quote) => texts.get(file)?.includes(`${quote}${title}${quote}`));
  expect(rows.filter((row) => !isTitle(row)).map(({ line }) => line)).toEqual([]);
});

test('each file has a promise or a failure that only it shows', () => {
  const named = new Set(rows.map(({ file }) => file));
  // These are this page itself, and the tests of the programs that measure.
  const own = [
    'promises.test.ts',
    ...files.filter((file) => /^(bench|soak|directory-faults)\//.test(file)),
  ];
  expect(files.filter((file) => !named.has(file) && !own.includes(file))).toEqual([]);
});
