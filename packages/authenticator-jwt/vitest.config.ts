import { testBase } from '@sallyport/scripts/vitest-base';

// A second process would import everything again, and that takes longer than most of these tests.
const common = { ...testBase.test, maxWorkers: 1 };

// The provider of the tests warns that it is one for development.
export default {
  test: { ...common, onConsoleLog: (text: string) => !text.includes('oidc-provider') },
};
