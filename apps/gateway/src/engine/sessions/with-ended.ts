import type { Authenticator, Decision } from '@sallyport/authenticator';
import { createDecidingLayer, layer } from '../chain/layer.ts';

const revoked: Decision = Object.freeze({ kind: 'rejected', reason: 'revoked' });

/**
 * Refuses sessions that are known to have ended, before a cache is asked: while the session Redis is down, the cache uses the
 * last answer, which may be older than the logout.
 */
export function withEnded(
  inner: Authenticator,
  hasEnded: (token: string) => boolean,
): Authenticator {
  // The session is checked again: it may have ended during the wait for its answer.
  const decided = createDecidingLayer(inner, (decision, token) =>
    hasEnded(token) ? revoked : decision,
  );
  return layer(inner, (token, context) =>
    hasEnded(token) ? revoked : decided.authenticate(token, context),
  );
}
