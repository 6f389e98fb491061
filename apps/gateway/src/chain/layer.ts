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
