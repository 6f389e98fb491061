import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import { createStaticAuthenticator } from './authenticator.ts';
import { optionsSchema, type StaticOptions } from './options.ts';

/** Bearer tokens from files. See the README of this package. */
const plugin: AuthenticatorPlugin<unknown> = {
  specificationVersion: 1,
  name: 'static',
  optionsSchema,
  // A lookup costs less than a cache would, and a token that is removed from its file is refused immediately.
  caching: 'none',
  create: (options: StaticOptions, context) => createStaticAuthenticator(options, context),
};

export default plugin;
