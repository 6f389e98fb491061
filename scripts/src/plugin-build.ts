import type { UserConfig } from 'tsdown';
import { bundling } from './build-base.ts';

/** The build of a plugin that has no configuration of its own, as `pnpm new-authenticator` makes it. */
const config: UserConfig = { ...bundling, cwd: process.cwd() };

export default config;
