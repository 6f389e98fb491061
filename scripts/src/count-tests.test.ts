import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { countReport, sumCounts } from './count-tests.ts';

const clean = {
  success: true,
  numPassedTests: 3,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  testResults: [{ status: 'passed', assertionResults: [{ status: 'passed' }] }],
};

describe('countReport', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'count-tests-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function count(report: object | string) {
    const file = join(folder, 'vitest.json');
    await writeFile(file, typeof report === 'string' ? report : JSON.stringify(report));
    return countReport(file);
  }

  test('counts passed, failed, skipped and todo', async () => {
    expect(await count({ ...clean, success: false, numFailedTests: 2, numPendingTests: 1, numTodoTests: 1 })).toEqual({
      passed: 3,
      failed: 2,
      skipped: 2,
    });
  });

  test('counts a file that could not be imported as one failure', async () => {
    const testResults = [...clean.testResults, { status: 'failed', assertionResults: [] }];
    expect(await count({ ...clean, success: false, testResults })).toMatchObject({ passed: 3, failed: 1 });
  });

  test('counts an unhandled error outside of any test as one failure', async () => {
    expect(await count({ ...clean, success: false })).toMatchObject({ passed: 3, failed: 1 });
  });

  test('takes a torn report for no tests', async () => {
    expect(await count('{"success": true, "numPass')).toEqual({ passed: 0, failed: 0, skipped: 0 });
  });

  test('takes a missing report for no tests', () => {
    expect(countReport(join(folder, 'nothing.json'))).toEqual({ passed: 0, failed: 0, skipped: 0 });
  });
});

test('sumCounts adds up every kind', () => {
  const sum = sumCounts([
    { passed: 1, failed: 2, skipped: 3 },
    { passed: 10, failed: 20, skipped: 30 },
  ]);
  expect(sum).toEqual({ passed: 11, failed: 22, skipped: 33 });
});
