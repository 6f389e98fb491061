export { base as default } from './src/vitest-base.ts';
