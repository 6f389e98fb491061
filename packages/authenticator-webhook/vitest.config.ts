import { testBase } from '@sallyport/scripts/vitest-base';

// A second process would import everything again, and that takes longer than most of these tests.
export default { test: { ...testBase.test, maxWorkers: 1 } };
