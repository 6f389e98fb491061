import type { RejectionReason, UserInfo } from '@sallyport/authenticator';
import type { LoginService } from './login-service.ts';
import type { Proof } from './proof.ts';

/** The part of a proof by which its user is found again. */
export type ProvenUser = Pick<
  Proof,
  'authenticator' | 'backendUser' | 'user' | 'since' | 'provider'
>;

/**
 * Asks about the user of a login again, as a review of their session would: since they logged in, their account may have been disabled,
 * or their authenticator or provider removed from `login`. The answer is as old as `login.revalidate`, or `refresh` of the directory
 * of a provider's user, allows.
 *
 * @returns the user, with the groups of today, or why they may not go on
 * @throws AuthenticatorError when they could not be checked
 */
export async function findUserToday(
  { findSessionUsers }: Pick<LoginService, 'findSessionUsers'>,
  { authenticator, backendUser, user, since, provider }: ProvenUser,
  signal: AbortSignal,
): Promise<{ readonly user: UserInfo } | { readonly reason: RejectionReason }> {
  const users = findSessionUsers({ authenticator, provider });
  if (users === undefined) return { reason: 'unknown-user' };
  const { username, uid } = backendUser;
  const session = { username, uid, since, provider };
  const decision = await users(session, { audiences: [], signal });
  if (decision.kind === 'rejected') return { reason: decision.reason };
  const isSame = decision.kind === 'authenticated' && decision.user.username === user.username;
  return isSame ? { user: decision.user } : { reason: 'unknown-user' };
}
