import { base } from '@sallyport/scripts/vitest-base';
import { defineConfig } from 'vitest/config';

// A domain is provisioned: on a busy machine that takes its time.
export default defineConfig({ ...base, test: { ...base.test, testTimeout: 60_000, hookTimeout: 60_000 } });
