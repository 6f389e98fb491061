export { testBase as default } from '@sallyport/scripts/vitest-base';
