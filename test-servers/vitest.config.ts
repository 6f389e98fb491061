import { testBase } from '@sallyport/scripts/vitest-base';

// oidc-provider prints this when it is loaded by a Node that is no LTS release yet.
const warning = 'oidc-provider WARNING: Unsupported runtime';

export default {
  test: { ...testBase.test, onConsoleLog: (text: string) => !text.includes(warning) },
};
