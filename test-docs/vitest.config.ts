import { createRequire } from 'node:module';
import { testBase } from '@sallyport/scripts/vitest-base';
import { defineConfig } from 'vitest/config';

const { resolve } = createRequire(import.meta.url);

export default defineConfig({
  test: { ...testBase.test, setupFiles: [resolve('@sallyport/test/end-of-file')] },
});
