export { base as default } from '@sallyport/scripts/build-base';
