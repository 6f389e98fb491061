export { load as default } from '@sallyport/scripts/vitest-base';
