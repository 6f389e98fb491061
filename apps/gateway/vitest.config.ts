import { withOwnProcesses } from '@sallyport/scripts/vitest-base';
import { defineConfig } from 'vitest/config';

export default defineConfig(withOwnProcesses(['src/cache/flood.test.ts', 'src/cache/secrets.test.ts']));
