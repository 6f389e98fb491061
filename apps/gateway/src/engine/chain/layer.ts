import type { Authenticator, Decision } from '@sallyport/authenticator';
import { after } from './answer.ts';
import type { LinkContext } from './chain.ts';

/**
 * Makes a layer around `inner`, which answers in its own way and leaves everything else to `inner`. It has no `recognizes`: the
 * chain asks the plugin's own before all layers.
 */
export function layer(
  inner: Authenticator,
  authenticate: (token: string, context: LinkContext) => Decision | Promise<Decision>,
): Authenticator {
  return {
    authenticate,
    // It is left out if `inner` has none: its caller must be able to say "there is nothing to check".
    ...(inner.check === undefined
      ? {}
      : { check: (signal: AbortSignal) => inner.check?.(signal) ?? Promise.resolve() }),
    close: async () => inner.close(),
  };
}

/** Makes a layer that makes its own decision of each answer of `inner`. */
export function createDecidingLayer(
  inner: Authenticator,
  decide: (decision: Decision, token: string, context: LinkContext) => Decision,
): Authenticator {
  return layer(inner, (token, context) =>
    after(inner.authenticate(token, context), (decision) => decide(decision, token, context)),
  );
}

/**
 * Checks a token against the audiences that it is bound to: those that the plugin names are intersected with those that the
 * review asks for, or with the API server's own if the review names none. An answer without audiences passes unchanged: its
 * token is bound to none. `audiences: []` is never returned, since kube-apiserver reads it as its own audiences
 * (kubernetes/apiserver plugin/pkg/authenticator/token/webhook/webhook.go).
 *
 * @param apiAudiences `server.apiAudiences`, read at each answer
 */
export function withAudiences(
  inner: Authenticator,
  apiAudiences: () => readonly string[],
): Authenticator {
  return createDecidingLayer(inner, (decision, _token, context) => {
    const reviewAudiences = context.audiences.length > 0 ? context.audiences : apiAudiences();
    if (decision.kind === 'authenticated' && decision.credential)
      context.onCredential?.(decision.credential);
    const bound = bind(decision, reviewAudiences);
    if (bound !== decision && bound.kind === 'rejected')
      context.trace?.(describeMismatch(decision, reviewAudiences, context));
    return bound;
  });
}

/** Words both lists, for `explain`. */
function describeMismatch(
  decision: Decision,
  reviewAudiences: readonly string[],
  { audiences }: LinkContext,
): string {
  const tokenAudiences = decision.kind === 'authenticated' ? (decision.audiences ?? []) : [];
  const from = audiences.length > 0 ? 'the review' : 'server.apiAudiences';
  const expectedText =
    reviewAudiences.length > 0
      ? `${reviewAudiences.join(', ')} (${from})`
      : 'none: the review names none, and server.apiAudiences is empty';
  return `the token is valid for the audiences ${tokenAudiences.join(', ') || 'none'}, and asked for is ${expectedText}`;
}

function bind(decision: Decision, reviewAudiences: readonly string[]): Decision {
  if (decision.kind !== 'authenticated' || decision.audiences === undefined) return decision;
  const { audiences: tokenAudiences, user } = decision;
  const audiences = reviewAudiences.filter(
    (audience, index) =>
      tokenAudiences.includes(audience) && reviewAudiences.indexOf(audience) === index,
  );
  if (audiences.length > 0) return { ...decision, audiences };
  return {
    kind: 'rejected',
    reason: 'audience-mismatch',
    subject: user.username,
    audiences: shortenAudiences(tokenAudiences),
  };
}

/** The limits of what a review asks for: see `parseTokenReview`. */
const [maxAudiences, maxAudienceLength] = [16, 256];

/** Bounds what a refusal shows of the audiences of a token: an issuer may have written any number. */
export function shortenAudiences(audiences: readonly string[]): readonly string[] {
  return Object.freeze(
    audiences.slice(0, maxAudiences).map((audience) => audience.slice(0, maxAudienceLength)),
  );
}

/** What is added to each identity, so that kube-apiserver's audit log can be joined with ours. */
export interface Provenance {
  /** The domain of the `extra` keys, such as `sallyport.example.com`. */
  readonly keyPrefix: string;
  /** Makes what the audit trail shows in `fingerprint` for a token. */
  readonly fingerprint: (token: string) => string;
}

/**
 * Adds to `extra` which authenticator answered and which token it was asked about. It is outside of the identity policy,
 * which refuses any identity of a backend that has such a key already: only the gateway can set them.
 *
 * @param directory the one in which the authenticator looks its users up
 */
export function withProvenance(
  inner: Authenticator,
  authenticator: string,
  provenance: Provenance,
  directory?: string,
): Authenticator {
  const { keyPrefix, fingerprint } = provenance;
  const from = {
    [`${keyPrefix}/authenticator`]: [authenticator],
    ...(directory !== undefined && { [`${keyPrefix}/directory`]: [directory] }),
  };
  return createDecidingLayer(inner, (decision, token) => {
    if (decision.kind !== 'authenticated') return decision;
    const credential = { [`${keyPrefix}/credential`]: [fingerprint(token)] };
    const extra = { ...decision.user.extra, ...from, ...credential };
    return { ...decision, user: { ...decision.user, extra } };
  });
}
