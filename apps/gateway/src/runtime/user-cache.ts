import type { Authenticator } from '@sallyport/authenticator';
import type { AuthenticatorConfig, CacheLifetimes } from '../config/types.ts';
import { type CacheSettings, withCache } from '../engine/cache/with-cache.ts';
import type { SharedParts } from './assemble-link.ts';

/**
 * Makes the cache settings for answers about users who are asked about without their token.
 *
 * @param config of the authenticator that answers
 * @param use distinguishes them from answers to its tokens, and to other such questions
 * @param lifetimes `cache` of the config
 */
export function userCache(
  { name, fingerprint, username, cache }: AuthenticatorConfig,
  { use, authenticatedTtl }: Pick<CacheSettings, 'authenticatedTtl'> & { readonly use: string },
  lifetimes: CacheLifetimes,
): CacheSettings {
  const { rejectedTtl, unknownTtl, staleTtl } = cache === 'off' ? lifetimes : cache;
  return {
    store: 'shared',
    staleTtl,
    name,
    usernamePrefix: username.prefix,
    authenticatedTtl,
    rejectedTtl: Math.min(rejectedTtl, authenticatedTtl),
    unknownTtl: Math.min(unknownTtl, authenticatedTtl),
    fingerprint: `${fingerprint} ${use}`,
  };
}

/** Caches answers about users. @param onStale called when an earlier answer is used because the backend is unavailable */
export function addUserCache(
  users: Authenticator,
  settings: CacheSettings,
  { cache, clocks }: Pick<SharedParts, 'cache' | 'clocks'>,
  onStale: () => void,
): Authenticator {
  if (cache === undefined) return users;
  return withCache(users, settings, {
    ...cache,
    clocks,
    metrics: {
      lookup(_name, _tier, result) {
        if (result === 'stale') onStale();
      },
      coalesced: () => undefined,
    },
  });
}
