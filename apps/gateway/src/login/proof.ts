import type { UserInfo } from '@sallyport/authenticator';
import type { Session } from '../engine/sessions/session-text.ts';
import type { BegunLogin } from './ended-login.ts';

/** Who logged in, and how. */
export type Proof = Readonly<
  Pick<Session, 'authenticator' | 'since' | 'provider' | 'amr'> &
    Record<'backendUser' | 'user', UserInfo>
> & {
  /** The name that the person typed, or that the provider's authenticator gave. */
  readonly login: string;
  /**
   * The digest of their ID token, which is in no session: it may be blocked before they have theirs. Undefined: they gave a password.
   * No command blocks the login token of a password (`claimedName`), and from its digest the password could be guessed.
   */
  readonly tokenDigest?: string | undefined;
};

/** A proof, and the revision of the revocation list before it was given. */
export interface ProvenLogin {
  readonly proof: Proof;
  readonly revision: number;
}

/** Describes a login by what can end it. */
export function toBegunLogin({ proof, revision }: ProvenLogin): BegunLogin {
  const { user, provider, tokenDigest } = proof;
  return { revision, user, credential: provider?.credential, tokenDigest };
}

/** Leaves out what is no part of a session. */
export function toSessionUser({ user, backendUser, login: _, tokenDigest: __, ...proof }: Proof) {
  return { ...proof, username: backendUser.username, uid: backendUser.uid, name: user.username };
}
