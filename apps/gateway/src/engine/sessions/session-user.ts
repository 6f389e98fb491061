import type { Authenticated, Authenticator, Decision } from '@sallyport/authenticator';
import { memoize } from '../chain/answer.ts';
import type { LinkContext } from '../chain/chain.ts';
import type { Guard } from '../chain/guard.ts';
import { layer } from '../chain/layer.ts';
import { revalidateUser } from '../users/revalidate-user.ts';
import type { Session } from './session-text.ts';

/** The result of asking a backend about the user of a session. `stale`: it was unavailable, and its last answer is used. */
export type RevalidationResult = 'confirmed' | 'refused' | 'error' | 'stale';

/** Answers about the user of a session as they are today, with the names that Kubernetes sees. */
export type SessionUsers = (
  session: SessionUser,
  context: LinkContext,
) => Decision | Promise<Decision>;

/** The part of a session that says who its user is. */
type SessionUser = Pick<Session, 'username' | 'uid' | 'since'> & {
  readonly provider?: Pick<NonNullable<Session['provider']>, 'groups' | 'extra'> | undefined;
};

/** Writes the question about a user as one text, instead of a token, so that its answer can be cached like any other. */
export function writeSessionUser({ username, uid, since }: Omit<SessionUser, 'provider'>): string {
  return JSON.stringify([username, uid ?? null, since]);
}

/**
 * Answers for users of providers: their ID token is not there any more, so the user is as it named them. The answer is the same
 * object for one session, since naming a user in hundreds of groups takes longer than the rest of a review.
 */
export const answerForProviderUser = memoize(
  ({ username, uid, provider: { groups, extra } = {} }: SessionUser): Authenticated => ({
    kind: 'authenticated',
    user: {
      username,
      ...(uid !== undefined && { uid }),
      ...(groups && { groups }),
      ...(extra && { extra }),
    },
  }),
);

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
      const decision = await guard.askWithin(context, (plugin, pluginContext) =>
        revalidateUser(plugin, user, { ...pluginContext, since: new Date(since) }),
      );
      onResult(decision.kind === 'authenticated' ? 'confirmed' : 'refused');
      return decision;
    } catch (error) {
      onResult('error');
      throw error;
    }
  });
}
