import { testBase } from '@sallyport/scripts/vitest-base';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Secrets and folders are those of a file.
  test: { ...testBase.test, isolate: true },
});
