export { base as default } from '@sallyport/scripts/vitest-base';
