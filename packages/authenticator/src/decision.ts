/**
 * The reasons for which an authenticator refuses a token that it recognized as its own. The set is closed: these words are
 * metric labels and reach logs, so free text of a backend is not allowed here.
 */
export const rejectionReasons = [
  'invalid-credentials',
  'expired',
  'not-yet-valid',
  'revoked',
  'locked',
  'password-expired',
  'password-changed',
  'unknown-user',
  'disabled',
  'ambiguous',
  'audience-mismatch',
  'identity-policy',
  'throttled',
  'blocked',
  'second-factor',
  'sealing-key-removed',
] as const;

/** One of {@link rejectionReasons}. */
export type RejectionReason = (typeof rejectionReasons)[number];

/**
 * A `UserInfo` is the user that a token belongs to, as the backend knows them: the gateway adds prefixes and applies its
 * identity policy afterwards. The fields are those of Kubernetes' `authentication.k8s.io/v1` `UserInfo`.
 */
export interface UserInfo {
  /**
   * The name as the backend knows it, not as it was typed. Never empty: kube-apiserver would take '' for a user of that name.
   */
  readonly username: string;
  /** An id that stays with the person when the username is given to another one. */
  readonly uid?: string;
  readonly groups?: readonly string[];
  /** Keys must be lowercase: others do not survive impersonation and aggregation in Kubernetes. */
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/**
 * A credential has the ids of a token, as its issuer wrote them, so that an operator can block the token, or all tokens of a
 * session, without having it (`sallyport block --jti ID`, `--sid ID`). Nothing in it is secret, so it is never the token
 * itself. The ids are the same each time. They come from a token whose signature was checked, or from the backend's answer
 * about the token, never from unverified text in it: a caller could change that text to escape a block.
 */
export interface Credential {
  /**
   * Identifies this one token: `jti` of RFC 7519, section 4.1.7, which no two tokens share, not even of two issuers: a block applies
   * to all authenticators.
   */
  readonly jti?: string;
  /**
   * Identifies the session in which the token was issued: `sid` of OpenID Connect Front-Channel Logout 1.0, section 3, and
   * Back-Channel Logout 1.0, section 2.1. All tokens of the session have it. It is unique for one issuer.
   */
  readonly sid?: string;
}

/** The token is valid, and belongs to this user. It ends the chain. */
export interface Authenticated {
  readonly kind: 'authenticated';
  readonly user: UserInfo;
  /** Left out: the token has no such ids, so it can be blocked by its text and its user alone. */
  readonly credential?: Credential;
  /**
   * All audiences that the token is bound to: the gateway intersects them with the audiences of the review. A backend may
   * report only which of the requested audiences are among them: give these. Left out: the token is not bound to audiences.
   * Empty: it is bound to none, so it is refused with `audience-mismatch`.
   */
  readonly audiences?: readonly string[];
  /** No cache holds the decision beyond this moment. Left out: the token does not expire. */
  readonly expiresAt?: Date;
  /**
   * The token is a session: a user has logged in for it. This is what `TokenSession.describe` returned when the token was
   * created, unchanged. Only the gateway can read it, and it has the user looked up again.
   */
  readonly session?: string;
}

/** The token is this authenticator's, and it is not valid. It ends the chain. */
export interface Rejected {
  readonly kind: 'rejected';
  readonly reason: RejectionReason;
  /** The name as the backend knows it, never as typed: a mistyped name may be a password. Left out: it is not known. */
  readonly subject?: string;
  /**
   * With `audience-mismatch`: the audiences that the token is for, if its issuer is known to have written them. The log and the
   * audit trail show up to 16, and 256 characters of each.
   */
  readonly audiences?: readonly string[];
}

/** The token is not this authenticator's: the next one is asked. */
export interface NoOpinion {
  readonly kind: 'no-opinion';
}

/**
 * A decision is the answer of an authenticator. There is no member for "could not be checked": that is a throw, so that a
 * forgotten catch fails closed. See `AuthenticatorError`.
 */
export type Decision = Authenticated | Rejected | NoOpinion;

/** Errors are recognized by this brand and not by `instanceof`, since a plugin may carry its own copy of this package. */
const brand = Symbol.for('@sallyport/authenticator/AuthenticatorError');

/**
 * - `unavailable`: the backend did not answer, or answered that it can't. This is an outage: enough of them open the
 *   circuit, and the authenticator is skipped for a while.
 * - `failed`: this one token could not be checked (a bad record, a group search over its size limit). It says
 *   nothing about the backend and never opens the circuit. Use it for all that a caller can cause by a token: as
 *   `unavailable`, a few such tokens would open the circuit for all users.
 */
export type AuthenticatorErrorCode = 'unavailable' | 'failed';

/**
 * An `AuthenticatorError` is thrown when a token could not be checked. It is never cached and never read as a refusal.
 *
 * The message reaches the log: name the backend and how to fix it, never a token, a password or free text that the
 * caller chose. Any other throw counts as `unavailable`, since it is not known to concern one token alone: of it the log has only
 * the type, the code and the place.
 */
export class AuthenticatorError extends Error {
  override readonly name = 'AuthenticatorError';
  readonly code: AuthenticatorErrorCode;

  constructor(code: AuthenticatorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, brand, { value: true });
  }

  /** Returns whether an error is of this class, from any copy of this package. */
  static is(error: unknown): error is AuthenticatorError {
    return error instanceof Error && brand in error;
  }
}
