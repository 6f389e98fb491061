/** What the README repeats, for the tests of documents. */
export { fieldNames } from '../record.ts';
export { formatPattern } from '../token.ts';
