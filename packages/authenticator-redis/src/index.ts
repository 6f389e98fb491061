import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import { createRedisAuthenticator } from './authenticator.ts';
import { createRedisTokenIssuer } from './issuer/token-issuer.ts';
import { optionsSchema, type RedisOptions } from './options.ts';

/** Opaque tokens, looked up in Redis by their digest. See the README of this package. */
const plugin: AuthenticatorPlugin<unknown> = {
  specificationVersion: 1,
  name: 'redis',
  optionsSchema,
  // A lookup costs one round trip, and a revocation must act immediately.
  caching: 'memory',
  create: (options: RedisOptions, context) => createRedisAuthenticator(options, context),
  createTokenIssuer: (options: RedisOptions, context) => createRedisTokenIssuer(options, context),
};

export default plugin;
