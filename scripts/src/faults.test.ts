import { describe, expect, test } from 'vitest';
import { faultsOf } from './faults.ts';

const clean = { folder: 'packages/clean', passed: 3, failed: 0, skipped: 0 };
const skipping = { folder: 'packages/skipping', passed: 3, failed: 0, skipped: 1 };
const good = { ci: true, status: 0 };

describe('faultsOf', () => {
  test('finds none in a good run', () => {
    expect(faultsOf([clean], good)).toEqual([]);
  });

  test('names each package without a test', () => {
    const empty = { ...clean, passed: 0 };
    expect(faultsOf([{ ...empty, folder: 'a' }, clean, { ...empty, folder: 'b' }], good)).toEqual([
      'a ran no test',
      'b ran no test',
    ]);
  });

  test('takes a package that only skips for one without a test', () => {
    expect(faultsOf([{ ...skipping, passed: 0 }], { ci: false, status: 0 })).toEqual(['packages/skipping ran no test']);
  });

  test('leaves tests that failed to their count: their package did run', () => {
    expect(faultsOf([{ ...clean, passed: 0, failed: 1 }], good)).toEqual([]);
  });

  test('names each package that skips in CI', () => {
    expect(faultsOf([clean, skipping], good)).toEqual(['packages/skipping skipped a test']);
  });

  test('lets packages skip outside of CI', () => {
    expect(faultsOf([skipping], { ci: false, status: 0 })).toEqual([]);
  });

  test.each([
    [1, 'turbo ended with status 1'],
    [null, 'turbo did not run to its end'],
  ])('tells of a runner that ended with %s, though every count is good', (status, fault) => {
    expect(faultsOf([clean], { ci: false, status })).toEqual([fault]);
  });

  test('is not content with no package at all', () => {
    expect(faultsOf([], good)).toEqual(['no package was found']);
  });
});
