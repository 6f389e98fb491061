import type { Caching } from '@sallyport/authenticator';
import type { Problem } from '../problems.ts';
import type { AuthenticatorCacheConfig, CacheLifetimes } from '../types.ts';
import { isObject } from '../unknown-keys.ts';
import { type CacheSettings, fileLifetimes } from './lifetimes.ts';

/** Milliseconds. What a plugin with `caching: memory` answers must be revocable at once, or nearly so. */
const revocableWithin = 5_000;

/**
 * How the answers of one authenticator are kept.
 *
 * @param own its `cache`, as written
 * @param caching of its plugin
 * @param file the lifetimes of the file
 */
export function completeCache(
  own: CacheSettings | 'off' | undefined,
  caching: Caching,
  file: CacheLifetimes,
): AuthenticatorCacheConfig | 'off' {
  if (own === 'off') return 'off';
  const store = own?.store ?? caching;
  if (store === 'none') return 'off';
  const preset = (ttl: number) => (caching === 'memory' ? Math.min(ttl, revocableWithin) : ttl);
  return {
    store,
    authenticatedTtl: own?.authenticatedTtl ?? preset(file.authenticatedTtl),
    rejectedTtl: own?.rejectedTtl ?? preset(file.rejectedTtl),
    unknownTtl: own?.unknownTtl ?? preset(file.unknownTtl),
    staleTtl: own?.staleTtl ?? file.staleTtl,
  };
}

/**
 * What is wrong with the `cache` of an authenticator that would do nothing.
 *
 * @param cache as written
 * @param caching of the authenticator's plugin
 */
export function idleCache(cache: unknown, caching: Caching): Omit<Problem, 'path'> | undefined {
  if (caching !== 'none' || !isObject(cache)) return undefined;
  // A key of another name is `store`, or mistyped, which is told already.
  if (!Object.keys(cache).every((key) => Object.hasOwn(fileLifetimes, key))) return undefined;
  return {
    message: 'the answers of its plugin are not cached unless store says where',
    fix: 'add store: memory, or remove cache',
  };
}
