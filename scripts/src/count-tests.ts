import { readFileSync } from 'node:fs';

export interface TestCount {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The fields that are read of a report of vitest's json reporter. */
interface Report {
  readonly success: boolean;
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/** Counts one report. A missing or truncated one has no tests, which `problemsOf` reports. */
export function countReport(file: string): TestCount {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
  // A file that can't be imported fails without a failed test, an unhandled error without a failed file.
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.every((one) => one.status !== 'failed'),
  ).length;
  const failed = report.numFailedTests + brokenFiles;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && !report.success ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

export function sumCounts(counts: readonly TestCount[]): TestCount {
  return counts.reduce(
    (sum, one) => ({
      passed: sum.passed + one.passed,
      failed: sum.failed + one.failed,
      skipped: sum.skipped + one.skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );
}

/** The count of one package. */
export interface PackageCount extends TestCount {
  readonly folder: string;
}

/** How the tests were run. */
export interface TestRun {
  /** In CI no test may be skipped. */
  readonly ci: boolean;
  /** Exit status of the runner; null: it could not be started, or was killed. */
  readonly status: number | null;
}

/** The problems of a run besides failed tests: one line each, none for a good run. */
export function problemsOf(counts: readonly PackageCount[], { ci, status }: TestRun): string[] {
  const empty = counts.filter(({ passed, failed }) => passed + failed === 0);
  const skipping = ci ? counts.filter(({ skipped }) => skipped > 0) : [];
  return [
    ...(status === 0 ? [] : [status === null ? 'turbo did not run to its end' : `turbo ended with status ${status}`]),
    ...(counts.length === 0 ? ['no package was found'] : []),
    ...empty.map(({ folder }) => `${folder} ran no test`),
    ...skipping.map(({ folder }) => `${folder} skipped a test`),
  ];
}
