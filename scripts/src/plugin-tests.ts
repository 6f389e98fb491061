/** The tests of a plugin that has no configuration of its own: `pnpm new-authenticator` makes such ones. */
export { base as default } from './vitest-base.ts';
