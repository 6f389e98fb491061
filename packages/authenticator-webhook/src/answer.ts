import type { UserInfo } from '@sallyport/authenticator';
import { parseJson } from '@sallyport/plugin-kit';

/** The `status` of a TokenReview that a peer answered. */
export interface ReviewStatus {
  readonly authenticated: boolean;
  /** The user. It is undefined if the peer names none. */
  readonly user?: UserInfo;
  /** The audiences. They are undefined if the peer knows nothing of audiences, and never empty. */
  readonly audiences?: readonly string[];
  /** Free text of the peer: it may quote the token, so it goes nowhere. */
  readonly error: string;
}

/**
 * Says what is wrong with an answer, and quotes nothing of it. `peer` means that it is not the answer of a webhook at all.
 * `token` means that it is one, but what it says of this token can't be used.
 */
export interface UnusableAnswer {
  readonly unusable: 'peer' | 'token';
  readonly problem: string;
}

/** A review has objects in objects five deep (`status.user.extra.KEY[]`), and its `spec` and `metadata` some more. */
const maxDepth = 32;

const versions: readonly unknown[] = [
  'authentication.k8s.io/v1',
  'authentication.k8s.io/v1beta1',
  undefined,
  '',
];
const kinds: readonly unknown[] = ['TokenReview', undefined, ''];

/**
 * Reads the body of an answer, as kube-apiserver does (kubernetes/apiserver plugin/pkg/authenticator/token/webhook/webhook.go):
 * names are case-sensitive, unknown fields pass, null is as left out, and Go leaves out `authenticated: false`. Either version
 * will do, and none at all: guard answers v1 to v1beta1, aws-iam-authenticator names none.
 */
export function readAnswer(body: Uint8Array): ReviewStatus | UnusableAnswer {
  if (isDeep(body)) return blamePeer('is nested too deeply to be a TokenReview');
  const review = parseJson(body);
  if (!isMap(review)) return blamePeer('is not a JSON object, or is truncated: check the URL');
  const { apiVersion, kind, status } = review;
  if (!kinds.includes(kind ?? undefined)) return blamePeer('is not a TokenReview: check the URL');
  if (!versions.includes(apiVersion ?? undefined))
    return blamePeer('has another apiVersion than v1 and v1beta1');
  if (!isMap(status)) return blamePeer('has no status: check the URL');
  const authenticated = status.authenticated ?? false;
  const error = status.error ?? '';
  if (typeof authenticated !== 'boolean')
    return blamePeer('has a status.authenticated that is neither true nor false');
  if (typeof error !== 'string') return blamePeer('has a status.error that is not a string');
  const audiences = texts(status.audiences);
  if (audiences === null) return blameToken('status.audiences is not a list of strings');
  const user = authenticated ? readUser(status.user) : undefined;
  if (user !== undefined && 'unusable' in user) return user;
  return {
    authenticated,
    error,
    ...(user && { user }),
    ...(audiences && audiences.length > 0 && { audiences }),
  };
}

const blamePeer = (problem: string): UnusableAnswer => ({ unusable: 'peer', problem });
const blameToken = (problem: string): UnusableAnswer => ({ unusable: 'token', problem });

/** Reads a user. An empty name is refused, which kube-apiserver would take for a user of that name. */
function readUser(user: unknown): UserInfo | UnusableAnswer {
  if (!isMap(user)) return blameToken('status.user is missing');
  const { username, uid } = user;
  if (typeof username !== 'string' || username === '')
    return blameToken('status.user.username is missing');
  if (!isAbsent(uid) && typeof uid !== 'string')
    return blameToken('status.user.uid is not a string');
  const groups = texts(user.groups);
  if (groups === null) return blameToken('status.user.groups is not a list of strings');
  const extra = readExtra(user.extra);
  if (extra === null) return blameToken('status.user.extra is not a map of lists of strings');
  return { username, ...(uid && { uid }), ...(groups && { groups }), ...(extra && { extra }) };
}

function readExtra(extra: unknown): Readonly<Record<string, readonly string[]>> | undefined | null {
  if (isAbsent(extra)) return undefined;
  if (!isMap(extra)) return null;
  const entries = Object.entries(extra).map(([key, values]) => [key, texts(values)] as const);
  if (entries.some(([, values]) => values === null)) return null;
  return Object.fromEntries(entries.map(([key, values]) => [key, values ?? []]));
}

/** Reads a list of texts. @returns undefined if it is left out, null if it is anything else */
function texts(value: unknown): readonly string[] | undefined | null {
  if (isAbsent(value)) return undefined;
  return Array.isArray(value) && value.every((text) => typeof text === 'string') ? value : null;
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const [quote, backslash, openBrace, closeBrace, openBracket, closeBracket] = Buffer.from('"\\{}[]');

/** Whether JSON has more levels than a review, without parsing it. For a text that is not JSON, the result has no meaning. */
export function isDeep(body: Uint8Array): boolean {
  let depth = 0;
  let isText = false;
  for (let index = 0; index < body.length; index++) {
    const byte = body[index];
    if (isText) {
      if (byte === backslash) index++;
      else if (byte === quote) isText = false;
    } else if (byte === quote) isText = true;
    else if (byte === openBrace || byte === openBracket) {
      if (++depth > maxDepth) return true;
    } else if (byte === closeBrace || byte === closeBracket) depth--;
  }
  return false;
}
