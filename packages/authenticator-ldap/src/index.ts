import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import { createLdapAuthenticator } from './authenticator.ts';
import { connectLdap } from './connection/connection.ts';
import { createDirectory } from './directory/create-directory.ts';
import { optionsSchema } from './options/schema.ts';
import { portMixUp } from './options/servers.ts';
import type { LdapOptions } from './options/types.ts';

/** Checks a user name and a password against an LDAP directory. See the README of this package. */
const plugin: AuthenticatorPlugin<unknown> = {
  specificationVersion: 1,
  name: 'ldap',
  optionsSchema,
  // A login costs a directory two searches, a TLS handshake and a password hash.
  caching: 'shared',
  async create(options: LdapOptions, context) {
    const { metrics, logger, backendReconnected } = context;
    for (const server of options.servers) {
      const hint = portMixUp(server);
      // This is a warning only, since a server may listen on an unusual port.
      if (hint !== undefined)
        logger.warn({ server: server.url, hint }, 'scheme and port of a server look mixed up');
    }
    const real = {
      options,
      connect: connectLdap,
      metrics,
      logger,
      now: () => performance.now(),
      random: Math.random,
    };
    return createLdapAuthenticator(options, context, (tls) =>
      createDirectory({ ...real, tls, backendReconnected }),
    );
  },
};

export default plugin;
