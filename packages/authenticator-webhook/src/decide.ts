import {
  AuthenticatorError,
  type AuthenticatorErrorCode,
  type Decision,
  type UserInfo,
} from '@sallyport/authenticator';
import type { HttpAnswer } from '@sallyport/plugin-options';
import { type ReviewStatus, readAnswer } from './answer.ts';
import { changeExtra } from './extra.ts';
import type { WebhookOptions } from './options.ts';

/** What a peer answered, for the metric: a closed set. */
export type AnswerKind = 'authenticated' | 'unauthenticated' | 'unauthorized' | 'error' | 'unusable';

/** What follows from an answer. `why` has nothing in it that the peer wrote. */
export type Verdict = { readonly answer: AnswerKind; readonly why: string } & (
  | { readonly decision: Decision }
  | { readonly error: AuthenticatorErrorCode }
);

type Rules = Pick<WebhookOptions, 'mode' | 'audiences' | 'onUnauthenticated' | 'onUnauthorized' | 'onError' | 'extra'>;

/**
 * How kube-apiserver's TokenReview API refuses a token: it sets an error for each of them. kubernetes/apiserver
 * pkg/authentication/request/bearertoken/bearertoken.go (`invalidToken`), kubernetes/kubernetes pkg/serviceaccount/jwt.go and
 * claims.go. Any other text may mean that one of its authenticators could not check the token. `has been invalidated` may, too:
 * claims.go gives it for every error of reading the pod or the secret. A deleted pod must not stay in, so it is a refusal.
 */
const refusalsOfApiServer: readonly RegExp[] = [
  /^invalid bearer token$/,
  /^service account token (?:has expired|has been invalidated|is not valid yet)$/,
  /^serviceaccounts "[^"]*" not found$/,
  /^service account \S+ has been deleted$/,
  /^(?:service account|secret|pod|node) UID \(\S*\) does not match (?:service account \w+ ref )?claim \(\S*\)$/,
  /^token audiences \[.*\] is invalid for the target audiences \[.*\]$/,
];

/** Whether each of the errors that an API server joined is a refusal: `[one, another]`. */
function isRefusalOfApiServer(error: string): boolean {
  const errors = error.replace(/^\[(.*)\]$/s, '$1').split(', ');
  return errors.every((one) => refusalsOfApiServer.some((known) => known.test(one)));
}

/** The peer may mean this one token, so no such answer may open the circuit. */
const statusesOfOneToken: ReadonlySet<number> = new Set([413, 414, 431]);

/**
 * Decides what an answer means. Everything that is not expected is an error, and never a refusal.
 *
 * @param sent the audiences of the review that was sent; empty: none
 */
export function judge({ status, body }: HttpAnswer, sent: readonly string[], rules: Rules): Verdict {
  if (status === 400 || status === 401 || status === 403) return unauthorized(status, rules);
  if (status !== 200 && status !== 201) {
    const why = status >= 300 && status < 400 ? 'a redirect, which is not followed' : `the status ${status}`;
    const error = statusesOfOneToken.has(status) ? 'failed' : 'unavailable';
    return { answer: 'unusable', why: `it answers with ${why}`, error };
  }
  const review = readAnswer(body);
  if ('unusable' in review) {
    return review.unusable === 'peer'
      ? { answer: 'unusable', why: `its answer ${review.why}`, error: 'unavailable' }
      : { answer: 'unusable', why: `its answer is damaged: ${review.why}`, error: 'failed' };
  }
  return review.authenticated ? accepted(review, sent, rules) : refused(review, rules);
}

function unauthorized(status: number, { mode, onUnauthorized }: Rules): Verdict {
  const verdict = { answer: 'unauthorized', why: `it answers with the status ${status}` } as const;
  if (onUnauthorized !== 'unavailable') return { ...verdict, decision: refusal(onUnauthorized) };
  if (mode === 'webhook') return { ...verdict, error: 'failed' };
  const fix =
    "check the gateway's own credential, and its right to create tokenreviews (the ClusterRole system:auth-delegator)";
  return { ...verdict, why: `${verdict.why}: ${fix}`, error: 'unavailable' };
}

function refused({ error }: ReviewStatus, { mode, onUnauthenticated, onError }: Rules): Verdict {
  if (error === '' || (mode === 'api' && isRefusalOfApiServer(error))) {
    return { answer: 'unauthenticated', why: 'it answers authenticated: false', decision: refusal(onUnauthenticated) };
  }
  const verdict = { answer: 'error', why: 'it answers with a status.error (its own log says why)' } as const;
  if (onError !== 'unavailable') return { ...verdict, decision: refusal(onError) };
  // `failed`: many webhooks set an error for each bad token, and anyone could open the circuit with some of these.
  return { ...verdict, error: 'failed' };
}

function refusal(meaning: 'no-opinion' | 'rejected'): Decision {
  return meaning === 'rejected' ? { kind: 'rejected', reason: 'invalid-credentials' } : { kind: 'no-opinion' };
}

function accepted({ user, audiences }: ReviewStatus, sent: readonly string[], rules: Rules): Verdict {
  if (user === undefined) throw new AuthenticatorError('failed', 'an answer without a user');
  const unusable = (why: string): Verdict => ({ answer: 'unusable', why, error: 'failed' });
  const { extra: given = {}, ...rest } = user;
  const extra = changeExtra(given, rules.extra);
  if (extra === undefined) {
    return unusable('two keys of status.user.extra become one: set extra.drop or extra.rename for one of them');
  }
  const [id, ...others] = idsOf(given);
  if (others.length > 0) return unusable('its answer names several credential ids, so a block of one could be missed');
  const bound = boundTo(audiences, sent, rules);
  return {
    answer: 'authenticated',
    why: 'it answers authenticated: true',
    decision: {
      kind: 'authenticated',
      user: { ...rest, ...(Object.keys(extra).length > 0 && { extra }) },
      // An operator can block the id that the peer has checked, whether or not the key stays in `extra`.
      ...(id !== undefined && { credential: { jti: id.slice('JTI='.length) } }),
      ...(bound && { audiences: bound }),
    },
  };
}

/** kubernetes/apiserver pkg/authentication/user/user.go, `CredentialIDKey`. */
const credentialIdKey = 'authentication.kubernetes.io/credential-id';

/** The ids of the token, of which there must be one. None where no id is a `jti`: then there is nothing to block. */
function idsOf(extra: NonNullable<UserInfo['extra']>): readonly string[] {
  const ids = (Object.hasOwn(extra, credentialIdKey) && extra[credentialIdKey]) || [];
  return ids.some((id) => /^JTI=./s.test(id)) ? ids : [];
}

/**
 * The audiences that a token counts for here: never one that was not sent. Undefined: it is not bound to audiences. Empty: it is
 * good for none, and refused.
 */
function boundTo(
  named: readonly string[] | undefined,
  sent: readonly string[],
  { audiences }: Rules,
): readonly string[] | undefined {
  // A peer that knows nothing of audiences has not checked these, and the token may be for another service.
  if (audiences.kind === 'own') return named?.some((one) => sent.includes(one)) ? undefined : [];
  if (named === undefined || sent.length === 0) return named;
  return [...new Set(named)].filter((one) => sent.includes(one));
}
