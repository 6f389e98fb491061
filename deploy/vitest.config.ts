import { base } from '@sallyport/scripts/vitest-base';
import { defineConfig } from 'vitest/config';

export default defineConfig({ test: { ...base.test, testTimeout: 60_000, hookTimeout: 60_000 } });
