import { testBase, withOwnProcesses } from '@sallyport/scripts/vitest-base';
import { defineConfig } from 'vitest/config';

const own = [
  'src/engine/cache/secrets.test.ts',
  'src/commands/interrupt.test.ts',
  'src/commands/options.test.ts',
  'src/engine/lockout/attempts.test.ts',
];

const setup = { setupFiles: ['src/testing/end-of-file.ts'] };

export default defineConfig(withOwnProcesses(own, { test: { ...testBase.test, ...setup } }));
