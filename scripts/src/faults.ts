import type { TestCount } from './count-tests.ts';

/** What was counted of one package. */
export interface PackageCount extends TestCount {
  readonly folder: string;
}

/** How the tests were run. */
export interface TestRun {
  /** In CI nothing may be skipped. */
  readonly ci: boolean;
  /** Exit status of the runner; null when it could not be started, or was killed. */
  readonly status: number | null;
}

/** What is wrong with a run beside tests that failed: one line each, none for a good run. */
export function faultsOf(counts: readonly PackageCount[], { ci, status }: TestRun): string[] {
  const empty = counts.filter(({ passed, failed }) => passed + failed === 0);
  const skipping = ci ? counts.filter(({ skipped }) => skipped > 0) : [];
  return [
    ...(status === 0 ? [] : [status === null ? 'turbo did not run to its end' : `turbo ended with status ${status}`]),
    ...(counts.length === 0 ? ['no package was found'] : []),
    ...empty.map(({ folder }) => `${folder} ran no test`),
    ...skipping.map(({ folder }) => `${folder} skipped a test`),
  ];
}
