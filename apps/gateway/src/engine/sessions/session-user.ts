import type { Authenticator, UserInfo } from '@sallyport/authenticator';
import type { Guard } from '../chain/guard.ts';
import { layer } from '../chain/layer.ts';
import { revalidateUser } from '../users/revalidate-user.ts';
import type { Session } from './session-text.ts';

/** The result of asking a backend about the user of a session. `stale`: it was unavailable, and its last answer is used. */
export type RevalidationResult = 'confirmed' | 'refused' | 'error' | 'stale';

/**
 * Writes the question about a user as one text, instead of a token, so that its answer can be cached like any other. A user of
 * a provider is the answer as well.
 */
export function writeSessionUser({
  username,
  uid,
  since,
  provider,
}: Pick<Session, 'username' | 'uid' | 'since' | 'provider'>): string {
  if (provider === undefined) return JSON.stringify([username, uid ?? null, since]);
  const { groups, extra } = provider;
  return JSON.stringify({ username, uid, groups, extra });
}

/**
 * Answers such questions for users of providers: their ID token is not there any more, so the user is as it named them. A
 * `directory` around it finds out whether they may still log in.
 */
export const providerUsers: Authenticator = {
  authenticate: (text) => ({ kind: 'authenticated', user: JSON.parse(text) as UserInfo }),
  close: async () => undefined,
};

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
