import type { ViteUserConfig } from 'vitest/config';
import { maxTestWait } from './max-test-wait.ts';
import { reportProgress } from './progress.ts';

const include = ['src/**/*.test.ts'];

/** Settings that the tests of all packages share: no retries, any order, and a report that `pnpm test` counts. */
export const testBase: ViteUserConfig = {
  test: {
    include,
    // Files share a process, and with it what was imported: that takes longer than most tests. No test may leave anything
    // behind in a module or in the process.
    isolate: false,
    // On two cores Vitest would take one, and tests wait for servers.
    maxWorkers: 2,
    retry: 0,
    passWithNoTests: false,
    allowOnly: !process.env.CI,
    sequence: { shuffle: true },
    // These limits end a test that hangs. Waits for a condition end before them, and say what they waited for.
    testTimeout: 4 * maxTestWait,
    hookTimeout: 4 * maxTestWait,
    expect: { poll: { timeout: maxTestWait } },
    // Titles have the names of cases as a whole.
    taskTitleValueFormatTruncate: 0,
    // setImmediate stays Node's: at a deadline, a process first reads what has arrived.
    fakeTimers: {
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
    },
    // `pnpm test` shows how far each package is, and what failed.
    reporters: process.env.PROGRESS ? ['minimal', reportProgress(), 'json'] : ['default', 'json'],
    outputFile: { json: 'test-results/vitest.json' },
  },
};

/** Settings of the task `test:tools`: what is packed, installed, generated or released, and what runs as a service. */
export const tools: ViteUserConfig = {
  test: {
    ...testBase.test,
    include: ['src/tools/*.test.ts'],
    // Secrets and folders are those of a file.
    isolate: true,
    outputFile: { json: 'test-results/tools.json' },
  },
};

/**
 * Settings of `pnpm test:load`: files that measure time, rate, memory or CPU end with `.load.ts`, and run one at a time,
 * each in a process of its own.
 */
export const load: ViteUserConfig = {
  test: {
    ...testBase.test,
    include: ['src/**/*.load.ts'],
    isolate: true,
    maxWorkers: 1,
    outputFile: { json: 'test-results/load.json' },
  },
};

/**
 * Adds to `config` that these files have a process each: they read all its memory, count its timers, change its modules or
 * need its signals.
 */
export function withOwnProcesses(
  files: readonly string[],
  config: ViteUserConfig = testBase,
): ViteUserConfig {
  // Projects add their lists of files to one that is set here.
  const { include: _, ...common } = config.test ?? {};
  const own = [...files];
  return {
    test: {
      ...common,
      projects: [
        { extends: true, test: { name: 'shared', include, exclude: own } },
        // These come last: a process that others share ends as soon as one of these is the next in line.
        {
          extends: true,
          test: { name: 'own process', include: own, isolate: true, sequence: { groupOrder: 1 } },
        },
      ],
    },
  };
}
