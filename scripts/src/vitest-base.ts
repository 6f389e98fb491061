import type { ViteUserConfig } from 'vitest/config';

/** Settings that the tests of all packages share: no retries, any order, and a report that `pnpm test` counts. */
export const base: ViteUserConfig = {
  test: {
    include: ['src/**/*.test.ts'],
    retry: 0,
    passWithNoTests: false,
    allowOnly: !process.env.CI,
    sequence: { shuffle: true },
    testTimeout: 20_000,
    reporters: ['default', ['json', { outputFile: 'test-results/vitest.json' }]],
  },
};
