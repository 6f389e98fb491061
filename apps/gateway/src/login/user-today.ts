import type { Decision, RejectionReason, UserInfo } from '@sallyport/authenticator';
import type { LoginService } from './login-service.ts';
import type { Proof } from './proof.ts';

/** The part of a proof by which its user is found again. */
export type ProvenUser = Pick<
  Proof,
  'authenticator' | 'backendUser' | 'user' | 'since' | 'provider'
>;

/**
 * Asks about the user of a login again, as a review of their session would: since they logged in, their account may have been disabled,
 * or their authenticator or provider removed from `login`. The answer may be cached: for
 * `login.revalidate`; for the user of a provider, for `refresh` of their directory; while that is down, for `staleTtl`.
 *
 * @returns the user, with the groups of today, why they may not go on, or why they could not be checked
 */
export async function findUserToday(
  { findSessionUsers }: Pick<LoginService, 'findSessionUsers'>,
  { authenticator, backendUser, user, since, provider }: ProvenUser,
  signal: AbortSignal,
): Promise<
  { readonly user: UserInfo } | { readonly reason: RejectionReason } | { readonly failure: unknown }
> {
  const users = findSessionUsers({ authenticator, provider });
  if (users === undefined) return { reason: 'unknown-user' };
  const { username, uid } = backendUser;
  const session = { username, uid, since, provider };
  let decision: Decision;
  try {
    decision = await users(session, { audiences: [], signal });
  } catch (failure) {
    return { failure };
  }
  if (decision.kind === 'rejected') return { reason: decision.reason };
  if (decision.kind === 'authenticated' && decision.user.username === user.username)
    return { user: decision.user };
  return { reason: 'unknown-user' };
}
