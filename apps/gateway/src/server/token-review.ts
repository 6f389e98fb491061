import type { Decision } from '@sallyport/authenticator';
import { StatusError } from './status.ts';

const apiVersions = ['authentication.k8s.io/v1', 'authentication.k8s.io/v1beta1'] as const;

/** The versions that kube-apiserver speaks: `--authentication-token-webhook-version`, v1beta1 unless set. */
export type TokenReviewVersion = (typeof apiVersions)[number];

/** What is asked. */
export interface TokenReviewRequest {
  readonly apiVersion: TokenReviewVersion;
  /** As sent: any non-empty string. */
  readonly token: string;
  /** Empty: the API server's own. */
  readonly audiences: readonly string[];
}

/** The token could not be checked. The message reaches kube-apiserver's log, and callers of its TokenReview API. */
interface Unchecked {
  readonly kind: 'error';
  readonly message: string;
  /** Names of those that could not check. */
  readonly authenticators: readonly string[];
}

/** How a review ended: what the chain decided, or that it could not. */
export type ReviewResult = Decision | Unchecked;

/** The answer. It never carries `spec`, so no token goes back over the wire. */
export interface TokenReviewAnswer {
  readonly apiVersion: TokenReviewVersion;
  readonly kind: 'TokenReview';
  readonly status: TokenReviewStatus;
}

interface TokenReviewStatus {
  readonly authenticated: boolean;
  readonly user?: {
    readonly username: string;
    readonly uid?: string;
    readonly groups?: readonly string[];
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
  readonly audiences?: readonly string[];
  readonly error?: string;
}

/** kube-apiserver sends its service-account issuers; whoever may create tokenreviews sends what they like. */
const maxAudiences = 16;
const maxAudienceBytes = 256;

/**
 * Reads a TokenReview as `JSON.parse` left it. Fields that are not asked for may hold anything, as in Kubernetes:
 * older API servers send `metadata: { creationTimestamp: null }` and `status: { user: {} }`.
 *
 * @throws StatusError 400 naming the field, never its value: a token may stand in the wrong one
 */
export function parseTokenReview(body: unknown): TokenReviewRequest {
  if (!isObject(body)) throw malformed('the body must be a TokenReview object');
  // An empty body is read as `{}`.
  if (Object.keys(body).length === 0) throw malformed('the body is empty: it must be a TokenReview object');
  if (body.kind !== 'TokenReview') throw malformed('kind must be TokenReview');
  const apiVersion = apiVersions.find((version) => version === body.apiVersion);
  if (apiVersion === undefined) {
    throw malformed(
      `apiVersion must be ${apiVersions.join(' or ')}: set kube-apiserver's --authentication-token-webhook-version to v1 or v1beta1`,
    );
  }
  if (!isObject(body.spec)) throw malformed('spec must be an object');
  const { token, audiences } = body.spec;
  if (typeof token !== 'string' || token === '') throw malformed('spec.token must be a non-empty string');
  return { apiVersion, token, audiences: parseAudiences(audiences) };
}

function parseAudiences(value: unknown): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw malformed('spec.audiences must be an array of strings');
  if (value.length > maxAudiences) throw malformed(`spec.audiences must have at most ${maxAudiences} entries`);
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
 * Whether a token may be shown to authenticators. Others are unknown without asking: one that is too long; one that is
 * not well-formed Unicode; and one that holds U+FFFD, which kube-apiserver puts wherever bytes were not UTF-8, so
 * that different tokens look the same.
 *
 * @param maxTokenSize in bytes of UTF-8, itself allowed
 */
export function isCheckable(token: string, maxTokenSize: number): boolean {
  return Buffer.byteLength(token) <= maxTokenSize && token.isWellFormed() && !token.includes('\ufffd');
}

/**
 * The answer to a review. It says no until a decision says yes with a name: kube-apiserver would take an empty username
 * for a user, and empty `audiences` for its own.
 */
export function toTokenReview(apiVersion: TokenReviewVersion, result: ReviewResult): TokenReviewAnswer {
  return { apiVersion, kind: 'TokenReview', status: toReviewStatus(result) };
}

function toReviewStatus(result: ReviewResult): TokenReviewStatus {
  if (result.kind === 'error') return { authenticated: false, error: result.message };
  if (!isYes(result)) return { authenticated: false };
  const { username, uid, groups, extra } = result.user;
  return {
    authenticated: true,
    user: {
      username,
      ...(uid !== undefined && { uid }),
      ...(groups !== undefined && { groups }),
      ...(extra !== undefined && { extra }),
    },
    ...(result.audiences !== undefined && { audiences: result.audiences }),
  };
}

function isYes(decision: Decision): decision is Extract<Decision, { kind: 'authenticated' }> {
  if (decision.kind !== 'authenticated') return false;
  const { username } = decision.user;
  return typeof username === 'string' && username !== '' && decision.audiences?.length !== 0;
}
