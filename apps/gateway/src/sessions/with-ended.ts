import type { Authenticator, Decision } from '@sallyport/authenticator';
import { decidingLayer, layer } from '../chain/layer.ts';

const revoked: Decision = Object.freeze({ kind: 'rejected', reason: 'revoked' });

/**
 * Refuses sessions that are known to have ended before any cache is asked: while their Redis is down, the last answer is
 * used there, and it may be older than the logout.
 */
export function withEnded(inner: Authenticator, hasEnded: (token: string) => boolean): Authenticator {
  // Again, since the session may have ended while its answer was waited for.
  const decided = decidingLayer(inner, (decision, token) => (hasEnded(token) ? revoked : decision));
  return layer(inner, (token, context) => (hasEnded(token) ? revoked : decided.authenticate(token, context)));
}
