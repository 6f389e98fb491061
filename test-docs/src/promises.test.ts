import { expect, test } from 'vitest';
import { type NamedTest, namedTestIn, problemOf, withMovedTests } from './testing/named-tests.ts';
import { find, readPage } from './testing/pages.ts';
import { expectWritten } from './testing/written.ts';

const file = 'test/promises.md';
const page = await readPage(file);
const [promised = '', failing = ''] = page.split('\n## Failures of real servers and clients\n');

interface Row {
  readonly line: string;
  readonly subject: string;
  readonly proof: NamedTest | undefined;
}

/** The rows of all tables of `text`, without their headings. */
function rowsOf(text: string): Row[] {
  const lines = text
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| (Promise|Failure|---)/.test(line));
  return lines.map((line) => {
    const cells = line.slice(2, -2).split(' | ');
    return { line, subject: cells[0] ?? '', proof: namedTestIn(cells.at(-1) ?? '') };
  });
}

const promises = rowsOf(promised);
const failures = rowsOf(failing);
const rows = [...promises, ...failures];
const proofs = rows.flatMap(({ proof }) => proof ?? []);

// Logins in a browser brought ten, the third audit the last twenty.
test('there are 60 to 210 promises, and each row names one test', () => {
  expect(promises.length).toBeGreaterThanOrEqual(60);
  expect(promises.length).toBeLessThanOrEqual(210);
  expect(rows.filter(({ proof }) => proof === undefined).map(({ line }) => line)).toEqual([]);
});

test('no promise and no failure is there twice', () => {
  const subjects = rows.map(({ subject }) => subject.toLowerCase());
  expect(subjects.filter((subject, index) => subjects.indexOf(subject) !== index)).toEqual([]);
});

test('each test that is named exists; to follow tests that moved: WRITE=1', async () => {
  if (process.env.WRITE === '1') await expectWritten(file, page, withMovedTests(page, proofs));
  else expect(proofs.flatMap((proof) => problemOf(proof) ?? [])).toEqual([]);
});

test('each file of black-box tests has a promise or a failure that only it shows', () => {
  const named = new Set(proofs.map((proof) => proof.file));
  // These are the tests of the programs that measure.
  const own = /^test\/src\/(bench|soak|directory-faults)\//;
  expect(
    find('test/src/**/*.test.ts').filter((path) => !named.has(path) && !own.test(path)),
  ).toEqual([]);
});
