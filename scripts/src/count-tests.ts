import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

export interface TestCount {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** The file and the full name of each test that failed: `test/src/tls.test.ts > a client > is refused`. */
  readonly failures: readonly string[];
}

/** The fields that are read of a report of vitest's json reporter. */
interface Report {
  readonly success: boolean;
  readonly numPassedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    /** The path of the file. */
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly ancestorTitles: readonly string[];
      readonly title: string;
    }[];
  }[];
}

/**
 * Counts one report. A missing or truncated one has no tests, which `problemsOf` reports.
 *
 * @param root the folder that files are named from
 */
export function countReport(file: string, root: string = process.cwd()): TestCount {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { passed: 0, failed: 0, skipped: 0, failures: [] };
  }
  const failures = report.testResults.flatMap(({ name, status, assertionResults }) => {
    const place = relative(root, name);
    const failed = assertionResults.filter((one) => one.status === 'failed');
    if (failed.length > 0)
      return failed.map((one) => [place, ...one.ancestorTitles, one.title].map(oneLine).join(' > '));
    // A file that can't be imported fails without a failed test.
    return status === 'failed' ? [`${place} (the file itself, not a test of it)`] : [];
  });
  // So does a run with an unhandled error, without a failed file.
  if (failures.length === 0 && !report.success) failures.push(`${relative(root, file)} (an error outside of any test)`);
  return {
    passed: report.numPassedTests,
    failed: failures.length,
    skipped: report.numPendingTests + report.numTodoTests,
    failures,
  };
}

/** A title may have line ends: in a log, each failure is one line. */
function oneLine(title: string): string {
  return title.replace(/\s+/g, ' ');
}

export function sumCounts(counts: readonly TestCount[]): TestCount {
  return counts.reduce<TestCount>(
    (sum, one) => ({
      passed: sum.passed + one.passed,
      failed: sum.failed + one.failed,
      skipped: sum.skipped + one.skipped,
      failures: [...sum.failures, ...one.failures],
    }),
    { passed: 0, failed: 0, skipped: 0, failures: [] },
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
