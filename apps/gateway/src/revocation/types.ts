import type { Credential } from '@sallyport/authenticator';

/**
 * The subject of an entry of the revocation list; `token`: its SHA-256, 64 hexadecimal digits; `jti`, `sid`: see `Credential`,
 * very long ones as `boundedId` makes them; `all`: every user.
 */
export type EntryKind = 'user' | 'group' | 'token' | 'jti' | 'sid' | 'all';

/**
 * `unlock`: each replica that learns of it forgets a user's refused tries, once.
 * `revoke`: what was cached before is not used any more. `block`: refused, whatever a backend answers. `unblock`: ends a
 * block; it stays in the list as long as a replica that has missed it could bring the block back.
 */
export type EntryAction = 'revoke' | 'block' | 'unblock' | 'unlock';

/** One entry of the revocation list. Names are as Kubernetes sees them, prefix included. */
export interface Entry {
  /** Random. */
  readonly id: string;
  readonly action: EntryAction;
  readonly kind: EntryKind;
  /** '' for `all`. */
  readonly name: string;
  /** Its place in the order of all entries: higher than that of every earlier one. */
  readonly revision: number;
  /** Milliseconds since 1970 by Redis' clock: when it was made, and when it ends. */
  readonly at: number;
  readonly until: number;
  /** Not before `until`: it is remembered until then, since what it superseded could come back. */
  readonly keptUntil: number;
  readonly by: string;
  readonly reason?: string;
}

/** The revocation list as a cache uses it. */
export interface Revocations {
  /** Of the newest entry that is known; to be noted when a lookup begins. */
  readonly revision: number;
  /** The list could not be read for 1 s, so that later revocations are not known. */
  readonly isCutOff: boolean;
  /**
   * Whether an answer must not be used, because it was revoked after its lookup began.
   *
   * @param since the revision that was known when the lookup began
   * @param username as Kubernetes sees it; undefined when the answer names no user
   */
  isRevoked(since: number, username: string | undefined, token: string): boolean;
}

/** The revocation list as each decision uses it. */
export interface Blocks {
  /** @returns the block that is in force for the token, whoever its user is */
  ofToken(token: string): Entry | undefined;
  /** @returns the block that is in force for a user of that name, or in one of these groups, as Kubernetes sees them */
  ofUser(username: string, groups: readonly string[]): Entry | undefined;
  /** @returns the block that is in force for a token with these ids, whoever issued it */
  ofCredential(credential: Credential): Entry | undefined;
}
