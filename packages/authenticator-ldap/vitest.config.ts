import { base, withOwnProcesses } from '@sallyport/scripts/vitest-base';
import { defineConfig } from 'vitest/config';

// Servers start and TLS is made for most tests: on a busy machine that takes its time.
const slow = { ...base, test: { ...base.test, testTimeout: 60_000, hookTimeout: 60_000 } };

export default defineConfig(withOwnProcesses(['src/late-password.test.ts'], slow));
