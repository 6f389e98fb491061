import type { Authenticator, Decision } from '@sallyport/authenticator';
import type { LinkContext } from './chain.ts';
import { judgingOnceLayer } from './layer.ts';

/**
 * Holds a token to the audiences it is bound to: what the plugin names is intersected with what the review asks for, or
 * with the API server's own where the review names none. An answer without audiences passes as it is: its token knows
 * nothing of audiences. `audiences: []` never leaves here, since kube-apiserver reads it as its own audiences
 * (kubernetes/apiserver plugin/pkg/authenticator/token/webhook/webhook.go).
 *
 * @param apiAudiences `server.apiAudiences`, read at each answer
 */
export function withAudiences(inner: Authenticator, apiAudiences: () => readonly string[]): Authenticator {
  const askedBy = (_token: string, { audiences }: LinkContext) => (audiences.length > 0 ? audiences : apiAudiences());
  return judgingOnceLayer(inner, askedBy, bind, isSameList);
}

function bind(decision: Decision, asked: readonly string[]): Decision {
  if (decision.kind !== 'authenticated' || decision.audiences === undefined) return decision;
  const bound = new Set(decision.audiences);
  const audiences = [...new Set(asked)].filter((audience) => bound.has(audience));
  if (audiences.length > 0) return { ...decision, audiences };
  return { kind: 'rejected', reason: 'audience-mismatch', subject: decision.user.username };
}

function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((audience, at) => audience === other[at]);
}
