import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import { createWebhookAuthenticator } from './authenticator.ts';
import { optionsSchema, type WebhookOptions } from './options.ts';

/** Another TokenReview webhook, or the TokenReview API of a cluster. See the README of this package. */
const plugin: AuthenticatorPlugin<unknown> = {
  specificationVersion: 1,
  name: 'webhook',
  optionsSchema,
  // The peer reports neither the end of a token nor a revocation, and some peers answer 401 during an outage.
  caching: 'memory',
  create: (options: WebhookOptions, context) => createWebhookAuthenticator(options, context),
};

export default plugin;
