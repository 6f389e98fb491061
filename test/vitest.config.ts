import { testBase } from '@sallyport/scripts/vitest-base';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    ...testBase.test,
    // These have a task of their own: vitest.tools.config.ts.
    exclude: ['src/tools/**'],
    setupFiles: ['src/testing/end-of-file.ts'],
    // Most of these tests wait for another process: more files at once than cores.
    maxWorkers: 4,
    // Large files come first, so that none is left over at the end.
    sequence: { shuffle: { files: false, tests: true } },
  },
});
