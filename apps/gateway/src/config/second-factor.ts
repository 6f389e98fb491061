import { duration, section } from '@sallyport/plugin-kit';
import type { ConnectionOptions } from '@sallyport/redis-connection';
import {
  type ClearTextTerms,
  connectionShape,
  settleConnection,
} from '@sallyport/redis-connection/options';
import { z } from 'zod';
import { keyPrefix } from './cache/redis.ts';
import { textListKey } from './keys.ts';

const terms: ClearTextTerms = {
  risk: 'anyone on the network path learns the password of Redis, and can remove second factors',
  consent: 'anyone on the network path may remove second factors',
};

const redis = section(
  {
    ...connectionShape(terms),
    commandTimeout: duration('Time limit for each command and for a connection.', {
      min: '50ms',
      max: '30s',
    }).prefault('1s'),
    keyPrefix,
  },
  '{ url: rediss://redis.example.com:6379 }',
  ({ keyPrefix, commandTimeout, ...keys }, complain) => {
    const connection = settleConnection(keys, { commandTimeout, terms }, complain);
    // Without a connection there was a complaint, and no one gets this config.
    return { connection: connection as ConnectionOptions, keyPrefix };
  },
).meta({
  description:
    'The Redis that keeps the second factors. It must persist and not evict: a user whose record is lost is refused. It can be the Redis of `login.sessions`.',
  writeOnly: true,
});

/** The methods by which a user can prove that they have a second factor. */
const factorMethods = ['totp', 'passkey'] as const;
export type FactorMethod = (typeof factorMethods)[number];

export const secondFactor = z
  .strictObject({
    required: z
      .union(
        [
          z.enum(['all', 'none']),
          z.strictObject({
            groups: textListKey('Groups as Kubernetes sees them, prefix included.').min(1),
          }),
        ],
        {
          error: ({ input }) =>
            input === undefined || input === null
              ? undefined
              : 'must be all, none, or { groups: [GROUP] }',
        },
      )
      .describe(
        'Who must have a second factor: `all`, the members of `{ groups: [...] }`, or `none`: then only people who have one need it. A required user without one is refused.',
      ),
    methods: z
      .array(z.enum(factorMethods))
      .min(1)
      .default(['totp'])
      .describe(
        'What counts as a second factor: `totp` (an authenticator app), `passkey`. Passkeys require `login.browser`, and a DNS name in `login.publicUrl`.',
      ),
    authenticators: textListKey(
      'Authenticators whose users need it, out of `login.authenticators`. Default: all of these.',
    )
      .min(1)
      .exactOptional(),
    redis,
  })
  .describe(
    'A second factor for people who log in with a password. See docs/second-factor.md. Requires `cache.redis`. There is none by default.',
  );
