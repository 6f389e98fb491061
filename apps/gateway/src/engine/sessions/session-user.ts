import {
  type Authenticator,
  AuthenticatorError,
  type Decision,
  type LoggedIn,
  type RevalidateContext,
} from '@sallyport/authenticator';
import { readDecision } from '../chain/decision.ts';
import type { Guard } from '../chain/guard.ts';
import { layer } from '../chain/layer.ts';
import type { Session } from './session-text.ts';

/** The result of asking a backend about the user of a session. `stale`: it was unavailable, and its last answer is used. */
export type RevalidationResult = 'confirmed' | 'refused' | 'error' | 'stale';

/** Writes the question about a user as one text, instead of a token, so that its answer can be cached like any other. */
export function writeSessionUser({
  username,
  uid,
  since,
}: Pick<Session, 'username' | 'uid' | 'since'>): string {
  return JSON.stringify([username, uid ?? null, since]);
}

/**
 * Makes an authenticator that answers such questions, from a plugin with `revalidate`. No review reaches it: it is not in the
 * chain, and its questions never come from a client.
 */
export function createSessionUsers(
  guard: Guard,
  onResult: (result: RevalidationResult) => void,
): Authenticator {
  return layer(guard, async (text, context) => {
    const [username, uid, since] = JSON.parse(text) as [string, string | null, number];
    const user = { username, ...(uid !== null && { uid }) };
    try {
      const decision = await guard.askWithin(context, (plugin, own) =>
        revalidateUser(plugin, user, { ...own, since: new Date(since) }),
      );
      onResult(decision.kind === 'authenticated' ? 'confirmed' : 'refused');
      return decision;
    } catch (error) {
      onResult('error');
      throw error;
    }
  });
}

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
