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
    ...(inner.check === undefined
      ? {}
      : { check: (signal: AbortSignal) => inner.check?.(signal) ?? Promise.resolve() }),
    close: async () => inner.close(),
  };
}

type Judge = (decision: Decision, token: string, context: LinkContext) => Decision;

/**
 * A layer that judges each answer of `inner`: at once, when it is there at once.
 *
 * @param judgeAtHand judges an answer that was at hand: it may come again, as the same object. Default: `judge`
 */
export function judgingLayer(inner: Authenticator, judge: Judge, judgeAtHand: Judge = judge): Authenticator {
  return layer(inner, (token, context) => {
    const answer = inner.authenticate(token, context);
    return answer instanceof Promise
      ? answer.then((decision) => judge(decision, token, context))
      : judgeAtHand(answer, token, context);
  });
}

/**
 * A layer that judges each answer of `inner` by a basis, and remembers the last judgement of each decision that was at hand,
 * for as long as there is that decision: decisions are frozen, so the same object is the same answer. A judgement that
 * refuses is not remembered, since each is logged.
 *
 * @param judge judges by the decision and its basis, and by nothing else that changes
 */
export function judgingOnceLayer<Basis>(
  inner: Authenticator,
  basisOf: (token: string, context: LinkContext) => Basis,
  judge: (decision: Decision, basis: Basis) => Decision,
  isSame: (one: Basis, other: Basis) => boolean = Object.is,
): Authenticator {
  const known = new WeakMap<Decision, { readonly basis: Basis; readonly judgement: Decision }>();
  const judgeOnce = (decision: Decision, basis: Basis): Decision => {
    const last = known.get(decision);
    if (last !== undefined && isSame(last.basis, basis)) return last.judgement;
    const judgement = judge(decision, basis);
    // One that stays as it is needs no memory.
    if (judgement.kind === 'authenticated' && judgement !== decision) known.set(decision, { basis, judgement });
    return judgement;
  };
  return judgingLayer(
    inner,
    (decision, token, context) => judge(decision, basisOf(token, context)),
    (decision, token, context) => judgeOnce(decision, basisOf(token, context)),
  );
}

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
  const bound = judgingOnceLayer(inner, askedBy, bind, isSameList);
  const traced = judgingLayer(inner, (decision, token, context) => {
    const asked = askedBy(token, context);
    if (decision.kind === 'authenticated' && decision.credential) context.onCredential?.(decision.credential);
    const judged = bind(decision, asked);
    if (judged !== decision && judged.kind === 'rejected') context.trace?.(mismatchOf(decision, asked, context));
    return judged;
  });
  return layer(inner, (token, context) => {
    return (context.trace === undefined ? bound : traced).authenticate(token, context);
  });
}

/** Says both lists, for `explain`. */
function mismatchOf(decision: Decision, asked: readonly string[], { audiences }: LinkContext): string {
  const own = decision.kind === 'authenticated' ? (decision.audiences ?? []) : [];
  const from = audiences.length > 0 ? 'the review' : 'server.apiAudiences';
  const wanted =
    asked.length > 0
      ? `${asked.join(', ')} (${from})`
      : 'none: the review names none, and server.apiAudiences is empty';
  return `the token is good for the audiences ${own.join(', ') || 'none'}, and asked for is ${wanted}`;
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

/** What is put beside each identity, so that kube-apiserver's audit log can be joined with ours. */
export interface Provenance {
  /** The domain of the `extra` keys, such as `sallyport.example.com`. */
  readonly keyPrefix: string;
  /** What the audit trail has in `fingerprint` for a token. */
  readonly fingerprint: (token: string) => string;
}

/**
 * Adds to `extra` which authenticator answered and which token it was asked about. It is outside of the identity policy,
 * which refuses any identity of a backend that has such a key already: only the gateway can set them.
 */
export function withProvenance(inner: Authenticator, authenticator: string, provenance: Provenance): Authenticator {
  const { keyPrefix, fingerprint } = provenance;
  const stamp = (decision: Decision, credential: string): Decision => {
    if (decision.kind !== 'authenticated') return decision;
    const extra = {
      ...decision.user.extra,
      [`${keyPrefix}/authenticator`]: [authenticator],
      [`${keyPrefix}/credential`]: [credential],
    };
    return { ...decision, user: { ...decision.user, extra } };
  };
  return judgingOnceLayer(inner, fingerprint, stamp);
}
