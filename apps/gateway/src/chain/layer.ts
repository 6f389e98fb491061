import type { Authenticator } from '@sallyport/authenticator';

/** An authenticator that stands around `inner`: it answers in its own way and leaves everything else to `inner`. */
export function layer(inner: Authenticator, authenticate: Authenticator['authenticate']): Authenticator {
  return {
    recognizes: (token) => inner.recognizes === undefined || inner.recognizes(token),
    authenticate,
    // Left out where `inner` has none: whoever calls it must be able to say "there is nothing to check".
    ...(inner.check === undefined ? {} : { check: async (signal: AbortSignal) => inner.check?.(signal) }),
    close: async () => inner.close(),
  };
}
