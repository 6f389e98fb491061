// The browser gets the library's own module under this name: see ../assets.ts.
export { default } from 'uplot';
