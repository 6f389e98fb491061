import type { Authenticator } from '@sallyport/authenticator';
import { judgingLayer } from './layer.ts';

/**
 * Holds a token to the audiences it is bound to: what the plugin names is intersected with what the review asks for, or
 * with the API server's own where the review names none. An answer without audiences passes as it is: its token knows
 * nothing of audiences. `audiences: []` never leaves here, since kube-apiserver reads it as its own audiences
 * (kubernetes/apiserver plugin/pkg/authenticator/token/webhook/webhook.go).
 *
 * @param apiAudiences `server.apiAudiences`, read at each answer
 */
export function withAudiences(inner: Authenticator, apiAudiences: () => readonly string[]): Authenticator {
  return judgingLayer(inner, (decision, _token, context) => {
    if (decision.kind !== 'authenticated' || decision.audiences === undefined) return decision;
    const asked = context.audiences.length > 0 ? context.audiences : apiAudiences();
    const bound = new Set(decision.audiences);
    const audiences = [...new Set(asked)].filter((audience) => bound.has(audience));
    if (audiences.length === 0) {
      return { kind: 'rejected', reason: 'audience-mismatch', subject: decision.user.username };
    }
    return { ...decision, audiences };
  });
}
