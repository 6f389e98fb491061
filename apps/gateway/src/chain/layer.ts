import type { Authenticator } from '@sallyport/authenticator';

/**
 * A layer around `inner`: it answers in its own way and leaves everything else to `inner`. It has no `recognizes`: the
 * chain asks the plugin's own before all layers.
 */
export function layer(inner: Authenticator, authenticate: Authenticator['authenticate']): Authenticator {
  return {
    authenticate,
    // Left out where `inner` has none: whoever calls it must be able to say "there is nothing to check".
    ...(inner.check === undefined ? {} : { check: async (signal: AbortSignal) => inner.check?.(signal) }),
    close: async () => inner.close(),
  };
}
