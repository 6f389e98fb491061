import { defineConfig } from 'tsdown';
import { bundling } from './build-base.ts';

/** The build of a plugin that `pnpm new-authenticator` has made: no file of its own to look after. */
export default defineConfig(bundling);
