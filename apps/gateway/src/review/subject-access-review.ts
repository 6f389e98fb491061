import { credentialIdKey } from '../engine/chain/identity-policy.ts';
import type { AccessDecision, AccessSubject } from '../engine/revocation/access-denial.ts';
import { StatusError } from '../http/kubernetes-status.ts';

/** The versions that kube-apiserver can use (`--authorization-webhook-version`, `subjectAccessReviewVersion`). */
const apiVersions = ['authorization.k8s.io/v1', 'authorization.k8s.io/v1beta1'] as const;

export type AccessApiVersion = (typeof apiVersions)[number];

export type AccessReviewRequest = ReturnType<typeof parseAccessReview>;

/** The result of an access review. `too-large`: the request could not be read whole, so it is not known who asks. */
export type AccessResult = AccessDecision | { readonly kind: 'too-large' };

/**
 * Reads a SubjectAccessReview. It does not use koa's parser, which refuses a body with a `__proto__` key: an error lets kube-apiserver
 * ask the next authorizer, and people can choose the keys of their `extra` by impersonation.
 *
 * @param body of duplicate keys the last one counts, as in Go
 * @throws StatusError 400 naming the field, never its value
 */
export function parseAccessReview(body: string) {
  const review = parseJson(body);
  if (!isObject(review)) throw malformed('the body must be a SubjectAccessReview object');
  if (review.kind !== 'SubjectAccessReview') throw malformed('kind must be SubjectAccessReview');
  const apiVersion = apiVersions.find((version) => version === review.apiVersion);
  if (apiVersion === undefined) {
    throw malformed(
      `apiVersion must be ${apiVersions.join(' or ')}: set kube-apiserver's --authorization-webhook-version to v1 or v1beta1`,
    );
  }
  const { spec } = review;
  if (!isObject(spec)) throw malformed('spec must be an object');
  const groupsKey = apiVersion === 'authorization.k8s.io/v1' ? 'groups' : 'group';
  const subject: AccessSubject = {
    username: readUser(spec.user),
    groups: readTexts(spec[groupsKey], `spec.${groupsKey}`),
    credentialIds: readCredentialIds(spec.extra),
  };
  return { apiVersion, subject, spec };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed('the body must be a JSON object');
  }
}

/** An empty name is no one's: a block has a name. */
function readUser(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw malformed('spec.user must be a string');
  return value;
}

function readCredentialIds(extra: unknown): readonly string[] {
  if (extra === undefined || extra === null) return [];
  if (!isObject(extra)) throw malformed('spec.extra must be an object');
  return readTexts(extra[credentialIdKey], `spec.extra["${credentialIdKey}"]`);
}

function readTexts(value: unknown, field: string): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every(isText))
    throw malformed(`${field} must be an array of strings`);
  return value;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function malformed(message: string): StatusError {
  return new StatusError(400, message);
}

/** The answers without an opinion, which almost all are. */
const noOpinion = {
  'authorization.k8s.io/v1': writeAnswer('authorization.k8s.io/v1', { allowed: false }),
  'authorization.k8s.io/v1beta1': writeAnswer('authorization.k8s.io/v1beta1', { allowed: false }),
};

/**
 * Writes the answer to an access review. It never allows anything: without an opinion, kube-apiserver asks its next authorizer. The reason
 * reaches the person who is denied, so it has no name of an operator and no text of theirs.
 *
 * @throws StatusError 503 when it is not known who is blocked: kube-apiserver does not retry it, and its `failurePolicy` decides
 */
export function writeAccessAnswer(apiVersion: AccessApiVersion, result: AccessResult): string {
  if (result.kind === 'no-opinion') return noOpinion[apiVersion];
  return writeAnswer(apiVersion, { allowed: false, denied: true, reason: describeDenial(result) });
}

function describeDenial(result: Exclude<AccessResult, { kind: 'no-opinion' }>): string {
  switch (result.kind) {
    case 'blocked':
      return `sallyport: blocked until ${formatMinute(result.block.until)}`;
    case 'ended':
      return 'sallyport: this session or token was logged out or revoked';
    case 'too-large':
      return 'sallyport: the request is too large to check (server.maxBodySize of the gateway)';
    case 'unknown':
      throw new StatusError(
        503,
        'the revocation list was not read recently, so it is not known who is blocked: check the cache Redis of the gateway',
      );
  }
}

/** The last moment that a Date can have, in milliseconds since 1970. */
const lastMoment = 8.64e15;

/** Writes a moment to the minute: the end of the minute in which it is. @param time milliseconds since 1970 */
function formatMinute(time: number): string {
  const minute = Math.min(Math.ceil(time / 60_000) * 60_000, lastMoment);
  return new Date(minute).toISOString().replace(/:\d\d\.\d+Z$/, 'Z');
}

interface AccessStatus {
  readonly allowed: false;
  readonly denied?: true;
  readonly reason?: string;
}

function writeAnswer(apiVersion: AccessApiVersion, status: AccessStatus): string {
  return JSON.stringify({ apiVersion, kind: 'SubjectAccessReview', status });
}
