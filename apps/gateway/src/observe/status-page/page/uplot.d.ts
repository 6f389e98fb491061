// The browser gets the library's own module under this name: see ../route.ts.
export { default } from 'uplot';
