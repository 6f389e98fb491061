export { buildBase as default } from '@sallyport/scripts/build-base';
