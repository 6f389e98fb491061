/**
 * Runs the tests of all packages, or one part of them: `unit`, `black-box` or `tools`, or `load` for the tests that measure. It
 * prints `N passed, N failed`, counted from the test runner's own reports, alone on the last line, below the times of the tasks,
 * the slowest files and the names of the tests that failed. It fails when a test failed, when a package has no test, and in CI
 * when a test was skipped.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { countReport, problemsOf, slowestFiles, sumCounts } from './count-tests.ts';
import { describeTaskTimes } from './task-times.ts';
import { blackBox, selectTasks, testParts } from './test-parts.ts';

/** The file that each task of Turborepo writes its report to. */
const reports = {
  test: 'vitest.json',
  'test:tools': 'tools.json',
  'test:load': 'load.json',
} as const;
const [word = 'all', ...excess] = process.argv.slice(2);
const part = testParts.find((name) => name === word);
if (part === undefined || excess.length > 0) {
  console.error(`error: name one part, or none to run all tests: ${testParts.join(', ')}`);
  process.exit(2);
}
const isLoad = part === 'load';

// Reading the members of the workspace keeps this script from missing a new one.
const [, listed = ''] =
  /^packages:\n((?: {2}- .+\n)+)/m.exec(readFileSync('pnpm-workspace.yaml', 'utf8')) ?? [];
const members = [...listed.matchAll(/- (.+)/g)].map(([, member]) => member);
const manifests = globSync(members.map((member) => `${member}/package.json`)).sort();
const runs = manifests.flatMap((manifest) => {
  const { name, scripts = {} } = JSON.parse(readFileSync(manifest, 'utf8'));
  return selectTasks(part, name, scripts).map((task) => ({
    task: `${name}#${task}`,
    folder: task === 'test' ? dirname(manifest) : `${dirname(manifest)} (${task})`,
    report: `${dirname(manifest)}/test-results/${reports[task]}`,
  }));
});
// A report of an earlier run must not count for this one.
for (const { report } of runs) rmSync(report, { force: true });
const summaries = '.turbo/runs';
rmSync(summaries, { recursive: true, force: true });

const environment = {
  ...process.env,
  CODE: 'dist',
  // Some 200 processes of pnpm and Vitest start, each of which would compile the same code.
  NODE_COMPILE_CACHE: resolve('node_modules/.cache/node-compile'),
  TURBO_TELEMETRY_DISABLED: '1',
  ...(!isLoad && { PROGRESS: '1' }),
};
/** Runs Turborepo. @returns its exit status. Null if it could not be started, or was killed */
async function runTurbo(...words: readonly string[]): Promise<number | null> {
  const turbo = spawn('turbo', ['run', ...words], { stdio: 'inherit', env: environment });
  const [code] = await once(turbo, 'close').catch(() => [null]);
  return code;
}

async function runTests(): Promise<readonly (number | null)[]> {
  const all = runs.map(({ task }) => task);
  const reported = ['--continue', '--summarize', '--output-logs=full'];
  if (isLoad) return [await runTurbo(...all, '--concurrency=1', ...reported)];
  // As tasks beside the tests, builds would wait for these. One that fails here fails again below, where it counts.
  await runTurbo('build', '@sallyport/deploy#packages', '--output-logs=errors-only');
  // The black box takes longest, and Turborepo knows no order of tasks: it begins first, and two others at a time run beside it.
  const isBlackBox = (task: string) => task === blackBox;
  const runsBeside = [
    { tasks: all.filter(isBlackBox), options: reported },
    { tasks: all.filter((task) => !isBlackBox(task)), options: ['--concurrency=2', ...reported] },
  ];
  return Promise.all(
    runsBeside
      .filter(({ tasks }) => tasks.length > 0)
      .map(({ tasks, options }) => runTurbo(...tasks, ...options)),
  );
}
const [status = 0] = (await runTests()).filter((status) => status !== 0);

console.log('\nFrom when to when each task ran, unless its result was cached:');
for (const file of globSync(`${summaries}/*.json`))
  for (const line of describeTaskTimes(file)) console.log(line);
console.log('\nThe slowest files:');
const slowest = slowestFiles(
  runs.map(({ report }) => report),
  10,
);
for (const { file, seconds } of slowest) {
  console.log(`${seconds.toFixed(1).padStart(7)} s  ${file}`);
}
console.log();
const counts = runs.map(({ folder, report }) => ({ folder, ...countReport(report) }));
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
