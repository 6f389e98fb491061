import {
  type Authenticator,
  AuthenticatorError,
  type Decision,
  type LoggedIn,
  type RevalidateContext,
} from '@sallyport/authenticator';
import { readDecision } from '../chain/decision.ts';

/**
 * Asks a plugin about a user as they are today. A user who has another name or `uid` now is another user.
 *
 * @returns `authenticated` or `rejected`
 * @throws AuthenticatorError when they could not be checked: a mistake of a plugin must not read as an answer
 */
export async function revalidateUser(
  plugin: Pick<Authenticator, 'revalidate'>,
  { username, uid }: LoggedIn,
  context: RevalidateContext,
): Promise<Decision> {
  if (plugin.revalidate === undefined)
    throw new AuthenticatorError('failed', 'its plugin has no revalidate');
  const user = { username, ...(uid !== undefined && { uid }) };
  const decision = readDecision(await plugin.revalidate(user, context));
  if (decision.kind === 'no-opinion') {
    throw new AuthenticatorError('failed', "the plugin's revalidate() gave no opinion");
  }
  if (decision.kind === 'rejected') return decision;
  const isSame =
    decision.user.username === username && (uid === undefined || decision.user.uid === uid);
  return isSame ? decision : { kind: 'rejected', reason: 'unknown-user', subject: username };
}
