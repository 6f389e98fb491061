/** The answer of an authenticator that failed. In JSON it keeps this name; a person reads `error`. */
export const unavailable = 'could not be checked';

/** What one authenticator says of a user. */
export interface LookUpRow {
  readonly authenticator: string;
  readonly answer: LookUpAnswer;
  /** With `known`, the name that Kubernetes sees. Otherwise the reason why the user is not known. */
  readonly reason: string;
  /** Issued tokens that are neither revoked nor expired; null where none are issued. */
  readonly tokens: number | null;
  /** Why a session that begins now would end, `good` if it would not, or `not found`. Null: sessions can't follow this backend. */
  readonly account: string | null;
  /** All tokens that were issued to the name. */
  readonly issued?: IssuedTokens | undefined;
  /** True: it could not be checked because of this user, and others can be. */
  readonly isOfUser?: boolean;
  /** The directory in which the user was looked up. Then `account` is about their account there. */
  readonly directory?: string | undefined;
  /** True: people could log in by it, but `login.authenticators` does not have it. */
  readonly isNotForLogins?: boolean;
}

interface IssuedTokens {
  readonly revoked: number;
  readonly expired: number;
  /** The digests of tokens that are neither revoked nor expired. */
  readonly digests: readonly string[];
}

type LookUpAnswer =
  | 'known'
  | 'not known'
  | 'refused by policy'
  | "can't be looked up"
  | typeof unavailable;

/** Returns an answer as a person reads it. */
export function shownAnswer(answer: string): string {
  return answer === unavailable ? 'error' : answer;
}
