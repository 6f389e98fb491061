/** The tests of a plugin that has no configuration of its own, as `pnpm new-authenticator` makes it. */
export { testBase as default } from './vitest-base.ts';
