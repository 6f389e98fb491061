import { testBase } from '@sallyport/scripts/vitest-base';
import { defineConfig } from 'vitest/config';

/** `pnpm run picture`: no test, but it needs what tests have. */
export default defineConfig({
  test: { ...testBase.test, include: ['src/picture.ts'], testTimeout: 30 * 60_000 },
});
