import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { JsonTestResults } from 'vitest/node';

export interface TestCount {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** The file and the full name of each test that failed: `test/src/tls.test.ts > a client > is refused`. */
  readonly failures: readonly string[];
}

/**
 * Counts one report. A missing or truncated one has no tests, which `problemsOf` reports.
 *
 * @param root the folder that files are named from
 */
export function countReport(file: string, root: string = process.cwd()): TestCount {
  const report = readReport(file);
  if (report === undefined) return { passed: 0, failed: 0, skipped: 0, failures: [] };
  const failures = report.testResults.flatMap(({ name, status, assertionResults }) => {
    const place = relative(root, name);
    const failed = assertionResults.filter((one) => one.status === 'failed');
    if (failed.length > 0)
      return failed.map((one) =>
        [place, ...one.ancestorTitles, one.title].map(oneLine).join(' > '),
      );
    // A file that can't be imported counts as failed without a failed test.
    return status === 'failed' ? [`${place} (the file itself, not a test of it)`] : [];
  });
  // A run with an unhandled error counts as failed without a failed file.
  if (failures.length === 0 && !report.success)
    failures.push(`${relative(root, file)} (an error outside of any test)`);
  return {
    passed: report.numPassedTests,
    failed: failures.length,
    skipped: report.numPendingTests + report.numTodoTests,
    failures,
  };
}

/** Reads a report. @returns undefined if it is missing or truncated */
function readReport(file: string): JsonTestResults | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Finds the test files that took longest.
 *
 * @param root the folder that files are named from
 * @returns at most `count`, the slowest first
 */
export function slowestFiles(
  reports: readonly string[],
  count: number,
  root: string = process.cwd(),
): { readonly file: string; readonly seconds: number }[] {
  return reports
    .flatMap((report) => readReport(report)?.testResults ?? [])
    .map(({ name, startTime, endTime }) => ({
      file: relative(root, name),
      seconds: (endTime - startTime) / 1000,
    }))
    .sort((one, other) => other.seconds - one.seconds)
    .slice(0, count);
}

/** Makes a title one line, since a title may have line ends and each failure is one line in a log. */
function oneLine(title: string): string {
  return title.replace(/\s+/g, ' ');
}

export function sumCounts(counts: readonly TestCount[]): TestCount {
  const sum = (key: 'passed' | 'failed' | 'skipped') =>
    counts.reduce((before, one) => before + one[key], 0);
  const failures = counts.flatMap((one) => one.failures);
  return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped'), failures };
}

/**
 * Finds the problems of a run besides failed tests, one line for each.
 *
 * @param ci whether no test may be skipped
 * @param status the exit status of the runner. It is null if the runner could not be started, or was killed
 */
export function problemsOf(
  counts: readonly (TestCount & { readonly folder: string })[],
  { ci, status }: { readonly ci: boolean; readonly status: number | null },
): string[] {
  const empty = counts.filter(({ passed, failed }) => passed + failed === 0);
  const skipping = ci ? counts.filter(({ skipped }) => skipped > 0) : [];
  return [
    ...(status === 0
      ? []
      : [status === null ? 'turbo did not run to its end' : `turbo ended with status ${status}`]),
    ...(counts.length === 0 ? ['no package was found'] : []),
    ...empty.map(({ folder }) => `${folder} ran no test`),
    ...skipping.map(({ folder }) => `${folder} skipped a test`),
  ];
}
