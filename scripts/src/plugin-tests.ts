import { defineConfig } from 'vitest/config';
import { base } from './vitest-base.ts';

/** The tests of a plugin that `pnpm new-authenticator` has made: no file of its own to look after. */
export default defineConfig(base);
