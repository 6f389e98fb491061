export { testBase as default } from './src/vitest-base.ts';
