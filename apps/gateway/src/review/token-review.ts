import type { Decision, UserInfo } from '@sallyport/authenticator';
import { StatusError } from '../http/kubernetes-status.ts';

/** The versions that kube-apiserver can use (`--authentication-token-webhook-version`). Its default is v1beta1. */
const apiVersions = ['authentication.k8s.io/v1', 'authentication.k8s.io/v1beta1'] as const;

export type TokenReviewRequest = ReturnType<typeof parseTokenReview>;

/** The result of a review: what the chain decided, or that the token could not be checked. */
export type ReviewResult =
  | Decision
  | {
      readonly kind: 'error';
      /** The message reaches kube-apiserver's log, and callers of its TokenReview API. */
      readonly message: string;
      /** The names of the authenticators that could not check the token. */
      readonly authenticators: readonly string[];
    };

/** kube-apiserver sends its service-account issuers. A client that may create TokenReviews can send any number. */
const maxAudiences = 16;
const maxAudienceBytes = 256;

const example = 'as in "spec": {"token": "TOKEN"}';

/**
 * Reads a TokenReview from what `JSON.parse` returned. Fields that are not needed can have any value, as in Kubernetes:
 * older API servers send `metadata: { creationTimestamp: null }` and `status: { user: {} }`.
 *
 * @returns the token as it was sent, any non-empty string. No audiences mean the API server's own
 * @throws StatusError 400 naming the field, never its value: the wrong one may contain a token
 */
export function parseTokenReview(body: unknown) {
  if (!isObject(body)) throw malformed('the body must be a TokenReview object');
  // The parser makes `{}` of an empty body.
  if (Object.keys(body).length === 0)
    throw malformed('the body is empty: it must be a TokenReview object');
  if (body.kind !== 'TokenReview') throw malformed('kind must be TokenReview');
  const apiVersion = apiVersions.find((version) => version === body.apiVersion);
  if (apiVersion === undefined) {
    throw malformed(
      `apiVersion must be ${apiVersions.join(' or ')}: set kube-apiserver's --authentication-token-webhook-version to v1 or v1beta1`,
    );
  }
  if (!isObject(body.spec)) throw malformed(`spec must be an object, ${example}`);
  const { token, audiences } = body.spec;
  if (typeof token !== 'string' || token === '')
    throw malformed(`spec.token must be a non-empty string, ${example}`);
  return { apiVersion, token, audiences: parseAudiences(audiences) };
}

function parseAudiences(value: unknown): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw malformed('spec.audiences must be an array of strings');
  if (value.length > maxAudiences)
    throw malformed(`spec.audiences must have at most ${maxAudiences} entries`);
  return value.map((audience: unknown, index) => {
    if (typeof audience !== 'string') throw malformed(`spec.audiences[${index}] must be a string`);
    if (Buffer.byteLength(audience) > maxAudienceBytes) {
      throw malformed(`spec.audiences[${index}] must be at most ${maxAudienceBytes} bytes`);
    }
    return audience;
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function malformed(message: string): StatusError {
  return new StatusError(400, message);
}

/**
 * Whether authenticators may be asked about a token. Other tokens are unknown without asking: a token that is too long,
 * one that is not well-formed Unicode, and one with U+FFFD, which kube-apiserver writes in place of bytes that are not
 * UTF-8, so that different tokens look the same.
 *
 * @param maxTokenSize in bytes of UTF-8; a token of this size is allowed
 */
export function isCheckable(token: string, maxTokenSize: number): boolean {
  return (
    Buffer.byteLength(token) <= maxTokenSize && token.isWellFormed() && !token.includes('\ufffd')
  );
}

/**
 * Makes the answer to a review. It never has a `spec`, so no token is sent back. It says "not authenticated" unless a
 * decision says "authenticated" with a name: kube-apiserver would take an empty username for a user, and empty
 * `audiences` for its own.
 */
export function toTokenReview(apiVersion: TokenReviewRequest['apiVersion'], result: ReviewResult) {
  return { apiVersion, kind: 'TokenReview', status: toReviewStatus(result) } as const;
}

function toReviewStatus(result: ReviewResult) {
  if (result.kind === 'error') return { authenticated: false, error: result.message };
  if (!isAuthenticated(result)) return { authenticated: false };
  const { username, uid, groups, extra } = result.user;
  // The groups are copied, because JSON.stringify takes seven times as long for a frozen array.
  const user = { username, uid, groups: groups && [...groups], extra } satisfies Record<
    keyof UserInfo,
    unknown
  >;
  return { authenticated: true, user, audiences: result.audiences };
}

function isAuthenticated(
  decision: Decision,
): decision is Extract<Decision, { kind: 'authenticated' }> {
  if (decision.kind !== 'authenticated') return false;
  const { username } = decision.user;
  return typeof username === 'string' && username !== '' && decision.audiences?.length !== 0;
}
