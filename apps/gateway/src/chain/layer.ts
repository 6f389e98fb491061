import type { Authenticator, Decision } from '@sallyport/authenticator';
import type { LinkContext } from './chain.ts';

/**
 * A layer around `inner`: it answers in its own way and leaves everything else to `inner`. It has no `recognizes`: the
 * chain asks the plugin's own before all layers.
 */
export function layer(
  inner: Authenticator,
  authenticate: (token: string, context: LinkContext) => Decision | Promise<Decision>,
): Authenticator {
  return {
    authenticate,
    // Left out where `inner` has none: whoever calls it must be able to say "there is nothing to check".
    ...(inner.check === undefined ? {} : { check: async (signal: AbortSignal) => inner.check?.(signal) }),
    close: async () => inner.close(),
  };
}

/** A layer that judges each answer of `inner`: at once, when it is there at once. */
export function judgingLayer(
  inner: Authenticator,
  judge: (decision: Decision, token: string, context: LinkContext) => Decision,
): Authenticator {
  return layer(inner, (token, context) => {
    const answer = inner.authenticate(token, context);
    return answer instanceof Promise
      ? answer.then((decision) => judge(decision, token, context))
      : judge(answer, token, context);
  });
}
