import type { NoOpinion, Rejected, UserInfo } from '@sallyport/authenticator';
import type { LinkContext } from '../chain/chain.ts';
import type { AuthenticatorConfig } from '../config/types.ts';

/** A password was right, and these are the names of its user: as the backend gives them, and as Kubernetes sees them. */
export interface LoggedInUser {
  readonly kind: 'logged-in';
  readonly given: UserInfo;
  readonly named: UserInfo;
}

/** An authenticator of `login.authenticators`, as a login uses it. */
export interface LoginLink extends Pick<AuthenticatorConfig, 'name' | 'onError'> {
  /**
   * Checks a password as the chain would, but past the cache: the backend must see it. So the lockout guard, the identity
   * policy and blocks hold for it.
   *
   * @throws AuthenticatorError when it could not be checked
   */
  logIn(username: string, password: string, context: LinkContext): Promise<LoggedInUser | Rejected | NoOpinion>;
}
