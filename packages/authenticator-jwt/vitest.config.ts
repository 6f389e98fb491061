import { base } from '@sallyport/scripts/vitest-base';

// The provider of the tests warns that it is one for development.
export default { test: { ...base.test, onConsoleLog: (text: string) => !text.includes('oidc-provider') } };
