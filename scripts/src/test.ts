/**
 * Runs the tests of all packages and prints `N passed, N failed`, counted from the test runner's own reports, alone on
 * the last line, below the names of the tests that failed. Fails when a test failed, when a package has no test, and in CI when a test was skipped.
 */
import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { countReport, problemsOf, sumCounts } from './count-tests.ts';

const reportOf = (folder: string) => `${folder}/test-results/vitest.json`;

// Reading the members of the workspace keeps this script from missing a new one.
const [, listed = ''] = /^packages:\n((?: {2}- .+\n)+)/m.exec(readFileSync('pnpm-workspace.yaml', 'utf8')) ?? [];
const members = [...listed.matchAll(/- (.+)/g)].map(([, member]) => member);
const folders = globSync(members.map((member) => `${member}/package.json`))
  .map(dirname)
  .sort();
// A report of an earlier run must not count for this one.
for (const folder of folders) rmSync(reportOf(folder), { force: true });

/** @returns turbo's exit status; null when a signal ended it */
function runTests(...words: readonly string[]): number | null {
  return spawnSync('turbo', ['run', 'test', '--continue', '--output-logs=full', ...words], {
    stdio: 'inherit',
    env: { ...process.env, CODE: 'dist', TURBO_TELEMETRY_DISABLED: '1' },
  }).status;
}

// Most tests of a package wait for servers. The last one measures what a gateway does under load: nothing runs beside it.
const alone = '@sallyport/test';
const first = runTests('--concurrency=3', `--filter=!${alone}`);
const last = runTests(`--filter=${alone}`);

const counts = folders.map((folder) => ({ folder, ...countReport(reportOf(folder)) }));
for (const { folder, passed, failed, skipped } of counts) {
  console.log(`${folder}: ${passed} passed, ${failed} failed, ${skipped} skipped`);
}
const problems = problemsOf(counts, { ci: Boolean(process.env.CI), status: first === 0 ? last : first });
for (const problem of problems) console.error(`error: ${problem}`);
const { passed, failed, failures } = sumCounts(counts);
const summary = `${passed} passed, ${failed} failed`;
mkdirSync('test-results', { recursive: true });
writeFileSync('test-results/summary.txt', `${summary}\n`);
// The last lines of a long log are what one reads: they name what failed.
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(summary);
process.exitCode = failed > 0 || problems.length > 0 ? 1 : 0;
