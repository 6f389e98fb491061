export { tools as default } from '@sallyport/scripts/vitest-base';
