import { base } from '@sallyport/scripts/vitest-base';
import { defineConfig } from 'vitest/config';

// Most of these tests wait for another process: more files at once than cores.
export default defineConfig({
  ...base,
  test: { ...base.test, maxWorkers: 4, testTimeout: 60_000, hookTimeout: 60_000 },
});
