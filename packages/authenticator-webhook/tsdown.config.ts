export { bundling as default } from '@sallyport/scripts/build-base';
