import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { countReport, problemsOf, slowestFiles, sumCounts } from './count-tests.ts';

const passing = { status: 'passed', ancestorTitles: [], title: 'is good' };
const clean = {
  success: true,
  numPassedTests: 3,
  numPendingTests: 0,
  numTodoTests: 0,
  testResults: [
    { name: '/work/a/src/good.test.ts', status: 'passed', assertionResults: [passing] },
  ],
};

const none = { passed: 0, failed: 0, skipped: 0, failures: [] };

describe('countReport', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'count-tests-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function count(report: object | string) {
    const file = join(folder, 'vitest.json');
    await writeFile(file, typeof report === 'string' ? report : JSON.stringify(report));
    return countReport(file, '/work');
  }

  test('counts passed, failed, skipped and todo, and names each that failed with its file', async () => {
    const testResults = [
      ...clean.testResults,
      {
        name: '/work/a/src/bad.test.ts',
        status: 'failed',
        assertionResults: [
          passing,
          { status: 'failed', ancestorTitles: ['a user', 'without a name'], title: 'is refused' },
          { status: 'failed', ancestorTitles: [], title: 'two\nlines' },
        ],
      },
    ];
    expect(
      await count({ ...clean, success: false, numPendingTests: 1, numTodoTests: 1, testResults }),
    ).toEqual({
      passed: 3,
      failed: 2,
      skipped: 2,
      failures: [
        'a/src/bad.test.ts > a user > without a name > is refused',
        'a/src/bad.test.ts > two lines',
      ],
    });
  });

  test('counts a file that could not be imported as one failure', async () => {
    const testResults = [
      ...clean.testResults,
      { name: '/work/a/src/x.test.ts', status: 'failed', assertionResults: [] },
    ];
    expect(await count({ ...clean, success: false, testResults })).toMatchObject({
      passed: 3,
      failed: 1,
      failures: ['a/src/x.test.ts (the file itself, not a test of it)'],
    });
  });

  test('counts an unhandled error outside of any test as one failure', async () => {
    expect(await count({ ...clean, success: false })).toMatchObject({
      passed: 3,
      failed: 1,
      failures: [expect.stringMatching(/vitest\.json \(an error outside of any test\)$/)],
    });
  });

  test('counts no tests in a truncated report', async () => {
    expect(await count('{"success": true, "numPass')).toEqual(none);
  });

  test('counts no tests in a missing report', () => {
    expect(countReport(join(folder, 'nothing.json'))).toEqual(none);
  });
});

test('slowestFiles names the slowest of all reports first, and passes over a missing report', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'slowest-files-'));
  const took = (name: string, seconds: number) => ({
    name: `/work/${name}`,
    startTime: 5,
    endTime: 5 + seconds * 1000,
  });
  const reports = [
    join(folder, 'one.json'),
    join(folder, 'missing.json'),
    join(folder, 'other.json'),
  ];
  await writeFile(
    join(folder, 'one.json'),
    JSON.stringify({ testResults: [took('a', 1), took('b', 30)] }),
  );
  await writeFile(join(folder, 'other.json'), JSON.stringify({ testResults: [took('c', 2.5)] }));
  expect(slowestFiles(reports, 2, '/work')).toEqual([
    { file: 'b', seconds: 30 },
    { file: 'c', seconds: 2.5 },
  ]);
  await rm(folder, { recursive: true });
});

test('sumCounts adds up every kind', () => {
  const sum = sumCounts([
    { passed: 1, failed: 2, skipped: 3, failures: ['a', 'b'] },
    { passed: 10, failed: 1, skipped: 30, failures: ['c'] },
  ]);
  expect(sum).toEqual({ passed: 11, failed: 3, skipped: 33, failures: ['a', 'b', 'c'] });
});

const whole = { folder: 'packages/whole', passed: 3, failed: 0, skipped: 0, failures: [] };
const skipping = { folder: 'packages/skipping', passed: 3, failed: 0, skipped: 1, failures: [] };
const good = { ci: true, status: 0 };

describe('problemsOf', () => {
  test('finds none in a good run', () => {
    expect(problemsOf([whole], good)).toEqual([]);
  });

  test('names each package without a test', () => {
    const empty = { ...whole, passed: 0 };
    expect(problemsOf([{ ...empty, folder: 'a' }, whole, { ...empty, folder: 'b' }], good)).toEqual(
      ['a ran no test', 'b ran no test'],
    );
  });

  test('reports a package that only skips as one without a test', () => {
    expect(problemsOf([{ ...skipping, passed: 0 }], { ci: false, status: 0 })).toEqual([
      'packages/skipping ran no test',
    ]);
  });

  test('does not report failed tests: their package did run', () => {
    expect(problemsOf([{ ...whole, passed: 0, failed: 1 }], good)).toEqual([]);
  });

  test('names each package that skips in CI', () => {
    expect(problemsOf([whole, skipping], good)).toEqual(['packages/skipping skipped a test']);
  });

  test('lets packages skip outside of CI', () => {
    expect(problemsOf([skipping], { ci: false, status: 0 })).toEqual([]);
  });

  test.each([
    { status: 1, problem: 'turbo ended with status 1' },
    { status: null, problem: 'turbo did not run to its end' },
  ])(
    'reports a runner that ended with $status, although every count is good',
    ({ status, problem }) => {
      expect(problemsOf([whole], { ci: false, status })).toEqual([problem]);
    },
  );

  test('reports that there is no package', () => {
    expect(problemsOf([], good)).toEqual(['no package was found']);
  });
});
