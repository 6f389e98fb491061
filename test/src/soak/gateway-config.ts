/** The config of the gateways of a soak. */

import type { People } from '@sallyport/test-servers/people';
import { staticAuthenticator } from '@sallyport/test-servers/static-tokens';
import { clusters, publicHost } from '../testing/ask-login.ts';
import type { DirectoryWay } from './directory-way.ts';
import { limits } from './limits.ts';
import type { Store } from './stores.ts';

/** Makes a config. @param replica undefined for operators */
export type ConfigOf = (
  replica: number | undefined,
  reviewTimeout: string,
) => Record<string, unknown>;

export const milliseconds = (time: number): string => `${time}ms`;

/** The authenticator of people who have a password. */
export function corpAuthenticator(directory: People, { port }: Pick<DirectoryWay, 'port'>): object {
  return directory.authenticator({
    options: {
      serverTimeout: '1s',
      urls: [`ldaps://127.0.0.1:${port}`],
      user: {
        base: `ou=people,${directory.slapd.suffix}`,
        filter: '(uid={username})',
        attributes: { username: 'uid', uid: 'description' },
      },
    },
    entry: { cache: { store: 'shared' }, timeout: '3s' },
  });
}

interface Parts {
  readonly corp: object;
  readonly oidc: object;
  readonly cache: Store;
  readonly tokens: Store;
}

export function createConfig({ corp, oidc, cache, tokens }: Parts): ConfigOf {
  return (replica, reviewTimeout) => ({
    server: { reviewTimeout },
    lockout: { maxFailures: limits.maxFailures, window: milliseconds(limits.lockoutWindow) },
    cache: {
      authenticatedTtl: milliseconds(limits.authenticatedTtl),
      rejectedTtl: milliseconds(limits.rejectedTtl),
      unknownTtl: milliseconds(limits.rejectedTtl),
      staleTtl: milliseconds(limits.staleTtl),
      memory: { maxEntries: 500 },
      redis: {
        ...cache.address(replica),
        sealingKeys: [{ file: 'secrets/sealing-key' }],
        timeout: '500ms',
      },
    },
    authenticators: [
      { ...staticAuthenticator, name: 'break-glass' },
      {
        name: 'robots',
        use: 'redis',
        username: { prefix: 'robot:' },
        options: tokens.address(replica),
      },
      {
        name: 'sessions',
        use: 'redis',
        options: { ...tokens.address(replica), keyPrefix: 'sessions:', tokenPrefix: 'sps_' },
      },
      oidc,
      corp,
    ],
    login: {
      listen: '127.0.0.1:0',
      publicUrl: `https://${publicHost}`,
      authenticators: ['corp'],
      sessions: 'sessions',
      clusters,
      browser: true,
      secondFactor: { required: 'none', methods: ['totp'], redis: tokens.address(replica) },
      revalidate: milliseconds(limits.revalidate),
      maxSessions: 100,
      // All come from one address.
      limits: { perAddress: '10000/m' },
    },
  });
}
