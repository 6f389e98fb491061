import type { ViteUserConfig } from 'vitest/config';

/** What every package's tests share: no retries, a report that `scripts/test.ts` counts, any order. */
export const base = {
  test: {
    include: ['src/**/*.test.ts'],
    retry: 0,
    passWithNoTests: false,
    allowOnly: !process.env.CI,
    sequence: { shuffle: true },
    testTimeout: 20_000,
    reporters: ['default', ['json', { outputFile: 'test-results/vitest.json' }]],
  },
} satisfies ViteUserConfig;
