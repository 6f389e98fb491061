import {
  AuthenticatorError,
  type AuthenticatorErrorCode,
  type Decision,
  type UserInfo,
} from '@sallyport/authenticator';
import type { HttpAnswer } from '@sallyport/plugin-kit';
import { type ReviewStatus, readAnswer } from './answer.ts';
import { changeExtra } from './extra.ts';
import type { WebhookOptions } from './options.ts';

/** The kind of an answer. It is a label of a metric, so the set is closed. */
export type AnswerKind =
  | 'authenticated'
  | 'unauthenticated'
  | 'unauthorized'
  | 'error'
  | 'unusable';

/** The decision or the error that follows from an answer. `explanation` contains nothing that the peer wrote. */
export type PeerOutcome = { readonly answer: AnswerKind; readonly explanation: string } & (
  | { readonly decision: Decision }
  | { readonly error: AuthenticatorErrorCode }
);

type Rules = Pick<
  WebhookOptions,
  'mode' | 'audiences' | 'onUnauthenticated' | 'onUnauthorized' | 'onError' | 'extra'
>;

/**
 * The errors with which kube-apiserver's TokenReview API refuses a token. See kubernetes/apiserver
 * pkg/authentication/request/bearertoken/bearertoken.go (`invalidToken`), kubernetes/kubernetes pkg/serviceaccount/jwt.go and
 * claims.go. Any other text may mean that one of its authenticators could not check the token. So may `has been invalidated`:
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
  return errors.every((message) => refusalsOfApiServer.some((pattern) => pattern.test(message)));
}

/** Statuses by which a peer may mean this one token, so none of them may open the circuit. */
const statusesOfOneToken: ReadonlySet<number> = new Set([413, 414, 431]);

/**
 * Decides what an answer means. Everything that is not expected is an error, and never a refusal.
 *
 * @param sentAudiences the audiences of the review that was sent, or none
 */
export function decideByAnswer(
  { status, body }: HttpAnswer,
  sentAudiences: readonly string[],
  rules: Rules,
): PeerOutcome {
  if (status === 400 || status === 401 || status === 403) return unauthorized(status, rules);
  if (status !== 200 && status !== 201) {
    const problem =
      status >= 300 && status < 400 ? 'a redirect, which is not followed' : `the status ${status}`;
    const error = statusesOfOneToken.has(status) ? 'failed' : 'unavailable';
    const fix =
      status === 404 || status === 405
        ? ': check the path of options.url, which is often /authenticate'
        : '';
    return { answer: 'unusable', explanation: `it answers with ${problem}${fix}`, error };
  }
  const review = readAnswer(body);
  if ('unusable' in review) {
    return review.unusable === 'peer'
      ? { answer: 'unusable', explanation: `its answer ${review.problem}`, error: 'unavailable' }
      : {
          answer: 'unusable',
          explanation: `its answer is damaged: ${review.problem}`,
          error: 'failed',
        };
  }
  return review.authenticated ? accepted(review, sentAudiences, rules) : refused(review, rules);
}

function unauthorized(status: number, { mode, onUnauthorized }: Rules): PeerOutcome {
  const outcome = {
    answer: 'unauthorized',
    explanation: `it answers with the status ${status}`,
  } as const;
  if (onUnauthorized !== 'unavailable') return { ...outcome, decision: refusal(onUnauthorized) };
  if (mode === 'webhook') return { ...outcome, error: 'failed' };
  const fix =
    "check the gateway's own credential, and its right to create tokenreviews (the ClusterRole system:auth-delegator)";
  return { ...outcome, explanation: `${outcome.explanation}: ${fix}`, error: 'unavailable' };
}

function refused(
  { error }: ReviewStatus,
  { mode, onUnauthenticated, onError }: Rules,
): PeerOutcome {
  if (error === '' || (mode === 'api' && isRefusalOfApiServer(error))) {
    return {
      answer: 'unauthenticated',
      explanation: 'it answers authenticated: false',
      decision: refusal(onUnauthenticated),
    };
  }
  const outcome = {
    answer: 'error',
    explanation: 'it answers with a status.error (its own log says why)',
  } as const;
  if (onError !== 'unavailable') return { ...outcome, decision: refusal(onError) };
  // `failed`: many webhooks set an error for each bad token, and anyone could open the circuit with some of these.
  return { ...outcome, error: 'failed' };
}

function refusal(meaning: 'no-opinion' | 'rejected'): Decision {
  return meaning === 'rejected'
    ? { kind: 'rejected', reason: 'invalid-credentials' }
    : { kind: 'no-opinion' };
}

function accepted(
  { user, audiences }: ReviewStatus,
  sentAudiences: readonly string[],
  rules: Rules,
): PeerOutcome {
  if (user === undefined) throw new AuthenticatorError('failed', 'an answer without a user');
  const unusable = (explanation: string): PeerOutcome => ({
    answer: 'unusable',
    explanation,
    error: 'failed',
  });
  const { extra: peerExtra = {}, ...userFields } = user;
  const extra = changeExtra(peerExtra, rules.extra);
  if (extra === undefined) {
    return unusable(
      'two keys of status.user.extra become one: set extra.drop or extra.rename for one of them',
    );
  }
  const [id, ...otherIds] = readCredentialIds(peerExtra);
  if (otherIds.length > 0)
    return unusable('its answer names several credential ids, so a block of one could be missed');
  const bound = boundTo(audiences, sentAudiences, rules);
  return {
    answer: 'authenticated',
    explanation: 'it answers authenticated: true',
    decision: {
      kind: 'authenticated',
      user: { ...userFields, ...(Object.keys(extra).length > 0 && { extra }) },
      // An operator can block the id that the peer has checked, whether or not the key stays in `extra`.
      ...(id !== undefined && { credential: { jti: id.slice('JTI='.length) } }),
      ...(bound && { audiences: bound }),
    },
  };
}

/** `CredentialIDKey` of kubernetes/apiserver pkg/authentication/user/user.go. */
const credentialIdKey = 'authentication.kubernetes.io/credential-id';

/** Reads the ids of the token, of which there must be one. It finds none if no id is a `jti`: then none can be blocked. */
function readCredentialIds(extra: NonNullable<UserInfo['extra']>): readonly string[] {
  const ids = (Object.hasOwn(extra, credentialIdKey) && extra[credentialIdKey]) || [];
  return ids.some((id) => /^JTI=./s.test(id)) ? ids : [];
}

/**
 * Finds the audiences that a token counts for here, and never one that was not sent.
 *
 * @returns undefined for a token that is not bound to audiences. A token with an empty list counts for none, and is refused
 */
function boundTo(
  named: readonly string[] | undefined,
  sentAudiences: readonly string[],
  { audiences }: Rules,
): readonly string[] | undefined {
  // A peer that knows nothing of audiences has not checked these, and the token may be for another service.
  if (audiences.kind === 'own')
    return named?.some((audience) => sentAudiences.includes(audience)) ? undefined : [];
  if (named === undefined || sentAudiences.length === 0) return named;
  return [...new Set(named)].filter((audience) => sentAudiences.includes(audience));
}
