/**
 * Runs the tests of all packages, or with the argument `load` those that measure, and prints `N passed, N failed`, counted
 * from the test runner's own reports, alone on the last line, below the slowest files and the names of the tests that
 * failed. It fails when a test failed, when a package has no test, and in CI when a test was skipped.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { countReport, problemsOf, slowestFiles, sumCounts } from './count-tests.ts';

const isLoad = process.argv[2] === 'load';
const reportOf = (folder: string) => `${folder}/test-results/${isLoad ? 'load' : 'vitest'}.json`;

// Reading the members of the workspace keeps this script from missing a new one.
const [, listed = ''] =
  /^packages:\n((?: {2}- .+\n)+)/m.exec(readFileSync('pnpm-workspace.yaml', 'utf8')) ?? [];
const members = [...listed.matchAll(/- (.+)/g)].map(([, member]) => member);
const folders = globSync(members.map((member) => `${member}/package.json`))
  .map(dirname)
  .filter((folder) => !isLoad || existsSync(`${folder}/vitest.load.config.ts`))
  .sort();
// A report of an earlier run must not count for this one.
for (const folder of folders) rmSync(reportOf(folder), { force: true });

// Most tests wait for servers: four packages at a time keep two cores busy. What is measured runs alone.
const words = isLoad ? ['test:load', '--concurrency=1'] : ['test', '--concurrency=4'];
const { status } = spawnSync('turbo', ['run', ...words, '--continue', '--output-logs=full'], {
  stdio: 'inherit',
  env: {
    ...process.env,
    CODE: 'dist',
    TURBO_TELEMETRY_DISABLED: '1',
    ...(!isLoad && { PROGRESS: '1' }),
  },
});

const counts = folders.map((folder) => ({ folder, ...countReport(reportOf(folder)) }));
console.log('\nThe slowest files:');
for (const { file, seconds } of slowestFiles(folders.map(reportOf), 10)) {
  console.log(`${seconds.toFixed(1).padStart(7)} s  ${file}`);
}
console.log();
for (const { folder, passed, failed, skipped } of counts) {
  console.log(`${folder}: ${passed} passed, ${failed} failed, ${skipped} skipped`);
}
const problems = problemsOf(counts, { ci: Boolean(process.env.CI), status });
for (const problem of problems) console.error(`error: ${problem}`);
const { passed, failed, failures } = sumCounts(counts);
const summary = `${passed} passed, ${failed} failed`;
mkdirSync('test-results', { recursive: true });
writeFileSync('test-results/summary.txt', `${summary}\n`);
// The last lines of a long log are what one reads: they name what failed.
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(summary);
process.exitCode = failed > 0 || problems.length > 0 ? 1 : 0;
