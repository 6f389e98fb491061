import type { Caching } from '@sallyport/authenticator';
import { duration } from '@sallyport/plugin-kit';
import { z } from 'zod';
import { isObject, type Path, type Problem } from '../problems.ts';

/** The maximum age of a positive answer. */
export const answerAge = {
  max: '24h',
  why: 'a revocation must be remembered for as long as an answer could be cached',
};
const hour = {
  max: '1h',
  why: 'a user who is let in again, or has a token that was tried before it was issued, waits that long',
};
const fixForZero =
  'write 500ms or more, or cache: off at the authenticators whose answers are not to be cached';

const lifetimes = {
  authenticatedTtl: duration(
    'How long a positive answer (the token is valid) is cached, but never after the token expires.',
    { ...answerAge, fixForZero },
  ),
  rejectedTtl: duration(
    'How long a refusal is cached. A user who is let in again waits for that long.',
    { ...hour, fixForZero },
  ),
  unknownTtl: duration(
    'How long it is cached that the authenticator does not know a token. A token that was tried before it was issued waits for that long.',
    { ...hour, fixForZero },
  ),
  staleTtl: duration(
    'How long a positive answer is used after `authenticatedTtl` while the authenticator is unavailable. `0` turns this off.',
    { ...answerAge, min: '0' },
  ),
};

/** The lifetimes of the file, which are the defaults of each authenticator whose answers are cached. */
export const fileLifetimes = {
  authenticatedTtl: lifetimes.authenticatedTtl.prefault('5m'),
  rejectedTtl: lifetimes.rejectedTtl.prefault('30s'),
  unknownTtl: lifetimes.unknownTtl.prefault('10s'),
  staleTtl: lifetimes.staleTtl.prefault('10m'),
};

const settings = z.strictObject({
  store: z
    .enum(['memory', 'shared'])
    .exactOptional()
    .describe(
      "Where the answers are cached: in each replica's memory, or in `cache.redis` as well. Without `cache.redis`, both are the same. Default: set by the plugin. Required for a plugin whose answers are not cached.",
    ),
  authenticatedTtl: lifetimes.authenticatedTtl.exactOptional(),
  rejectedTtl: lifetimes.rejectedTtl.exactOptional(),
  unknownTtl: lifetimes.unknownTtl.exactOptional(),
  staleTtl: lifetimes.staleTtl.exactOptional(),
});

export const authenticatorCache = z
  .union([z.literal('off'), settings], {
    // What is empty is reported as any other key without a value.
    error: ({ input }) =>
      input === null
        ? undefined
        : 'must be off, or keys and values such as { authenticatedTtl: 1m }',
  })
  .describe(
    'How the answers of this authenticator are cached: `off`, or a map with `store` and the four lifetimes of `cache`. Default: set by the plugin and `cache`.',
  );

/** CacheLifetimes are how long answers are cached, in milliseconds from when the backend gave them. */
export type CacheLifetimes = { readonly [Key in keyof typeof lifetimes]: number };

/** Milliseconds within which an answer of a plugin with `caching: memory` can be revoked. */
const revocableWithin = 5_000;

/** Milliseconds within which a logout acts on every replica. */
const sessionWithin = 1_000;

/** An AuthenticatorCacheConfig says how the answers of one authenticator are cached: in this process, or in the cache Redis too. */
export type AuthenticatorCacheConfig = CacheLifetimes & { readonly store: 'memory' | 'shared' };

/**
 * Decides how the answers of one authenticator are cached. What its own `cache` leaves out follows from that of the file
 * and from its plugin.
 */
export function completeCache(
  settings: z.output<typeof authenticatorCache> | undefined,
  caching: Caching,
  file: CacheLifetimes,
  sessions = false,
): AuthenticatorCacheConfig | 'off' {
  if (settings === 'off') return 'off';
  const store = settings?.store ?? caching;
  if (store === 'none') return 'off';
  const max = sessions
    ? sessionWithin
    : caching === 'memory'
      ? revocableWithin
      : Number.POSITIVE_INFINITY;
  const preset = (ttl: number) => Math.min(ttl, max);
  return {
    authenticatedTtl: preset(file.authenticatedTtl),
    rejectedTtl: preset(file.rejectedTtl),
    unknownTtl: preset(file.unknownTtl),
    staleTtl: file.staleTtl,
    ...settings,
    store,
  };
}

/** Finds a `cache` of an authenticator that would do nothing. @param cache as written */
export function idleCache(cache: unknown, caching: Caching, path: Path): Problem[] {
  if (caching !== 'none' || !isObject(cache)) return [];
  // A key of another name is `store`, or mistyped, which is reported already.
  if (!Object.keys(cache).every((key) => Object.hasOwn(lifetimes, key))) return [];
  const message = 'the answers of its plugin are not cached unless store says where';
  return [{ path, message, fix: 'add store: memory, or remove cache' }];
}
