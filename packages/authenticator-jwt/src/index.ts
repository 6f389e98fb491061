import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import { createJwtAuthenticator } from './authenticator.ts';
import { type JwtOptions, optionsSchema } from './options.ts';

/** The plugin checks signed JSON Web Tokens of OpenID Connect providers. See the README of this package. */
const plugin: AuthenticatorPlugin<unknown> = {
  specificationVersion: 1,
  name: 'jwt',
  optionsSchema,
  // A signature costs some hundred microseconds, and a key that an issuer withdraws must not be used for long.
  caching: 'memory',
  create: (options: JwtOptions, context) => createJwtAuthenticator(options, context),
};

export default plugin;
