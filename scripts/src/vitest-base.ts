import type { ViteUserConfig } from 'vitest/config';

const include = ['src/**/*.test.ts'];

/** Settings that the tests of all packages share: no retries, any order, and a report that `pnpm test` counts. */
export const base: ViteUserConfig = {
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
    // Servers start and TLS is made for many tests: on a busy machine that takes its time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['default', ['json', { outputFile: 'test-results/vitest.json' }]],
  },
};

/**
 * As `config`, but these files have a process each: they read all its memory, count its timers, change its modules or
 * need its signals.
 */
export function withOwnProcesses(files: readonly string[], config: ViteUserConfig = base): ViteUserConfig {
  // Projects add their lists of files to one that is set here.
  const { include: _, ...common } = config.test ?? {};
  const own = [...files];
  return {
    test: {
      ...common,
      projects: [
        { extends: true, test: { name: 'shared', include, exclude: own } },
        // These come last: a process that others share ends as soon as one of these is the next in line.
        { extends: true, test: { name: 'own process', include: own, isolate: true, sequence: { groupOrder: 1 } } },
      ],
    },
  };
}
