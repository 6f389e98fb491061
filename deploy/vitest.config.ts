import { testBase } from '@sallyport/scripts/vitest-base';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  // These have a task of their own: vitest.tools.config.ts.
  test: { ...testBase.test, exclude: ['src/tools/**'] },
});
