import { base } from '@sallyport/scripts/vitest-base';

// A second process would import everything again, and that takes longer than most of these tests.
export default { test: { ...base.test, maxWorkers: 1 } };
