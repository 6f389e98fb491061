import { base } from '@sallyport/scripts/vitest-base';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  ...base,
  // The provider of the tests warns that it is one for development.
  test: { ...base.test, onConsoleLog: (text) => !text.includes('oidc-provider') },
});
