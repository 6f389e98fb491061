/** The user of a cached answer: a name means the same user only with one configuration of one authenticator. */
export interface CachedUser {
  /** Of the authenticator's config, see `AuthenticatorConfig`. */
  readonly fingerprint: string;
  readonly username: string;
}

/**
 * Cached answers that one user may have with one authenticator, in each tier. A directory finds `alice`, `ALICE` and
 * ` alice ` alike, and each spelling is another token: without a limit one user's own password fills the cache.
 */
export const maxAnswersOfUser = 8;

/** The cached answers of each user. */
export interface UserIndex {
  /** The names of the user's answers, oldest first. */
  namesOf(user: CachedUser): readonly string[];
  add(user: CachedUser, name: string): void;
  remove(user: CachedUser, name: string): void;
}

export function createUserIndex(): UserIndex {
  // Two levels, and arrays in place of sets: with many users each byte counts for each of them.
  const users = new Map<string, Map<string, readonly string[]>>();
  const namesOf = ({ fingerprint, username }: CachedUser) => users.get(fingerprint)?.get(username) ?? [];
  return {
    namesOf,
    add(user, name) {
      const ofAuthenticator = users.get(user.fingerprint) ?? new Map<string, readonly string[]>();
      users.set(user.fingerprint, ofAuthenticator.set(user.username, [...namesOf(user), name]));
    },
    remove(user, name) {
      const { fingerprint, username } = user;
      const left = namesOf(user).filter((one) => one !== name);
      const ofAuthenticator = users.get(fingerprint);
      if (left.length > 0) ofAuthenticator?.set(username, left);
      else ofAuthenticator?.delete(username);
      if (ofAuthenticator?.size === 0) users.delete(fingerprint);
    },
  };
}
