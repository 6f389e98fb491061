import {
  type AuthenticateContext,
  type Authenticator,
  AuthenticatorError,
  type Decision,
} from '@sallyport/authenticator';
import { isAborted } from '../chain/chain.ts';
import { readDecision } from '../chain/decision.ts';
import type { Guard } from '../chain/guard.ts';
import { layer } from '../chain/layer.ts';
import { revalidateUser } from '../users/revalidate-user.ts';

/**
 * The result of looking a user up in a directory. `missing`: there is no such account. `refused`: there is one, and it is disabled,
 * locked or expired. `stale`: the directory was unavailable, and its last answer is used.
 */
export type DirectoryResult = 'found' | 'missing' | 'refused' | 'error' | 'stale';

const resultOf = {
  authenticated: 'found',
  rejected: 'refused',
  'no-opinion': 'missing',
} as const satisfies Record<Decision['kind'], DirectoryResult>;

/**
 * Makes an authenticator that finds the user of a name, from a plugin with `lookUp` and `revalidate`. No review reaches it: it is
 * asked with a name instead of a token. It has no opinion of a name that the directory does not have.
 *
 * @param authenticator whose users they are: its lookups of a name use up nothing of another one's
 */
export function createDirectoryUsers(
  guard: Guard,
  authenticator: string,
  onResult: (result: DirectoryResult) => void,
): Authenticator {
  return layer(guard, async (name, context) => {
    try {
      const decision = await guard.askWithin(
        context,
        (plugin, own) => findInDirectory(plugin, name, own),
        `${authenticator} ${name}`,
      );
      onResult(resultOf[decision.kind]);
      return decision;
    } catch (error) {
      // All callers have left: that says nothing about the directory.
      if (!isAborted(context)) onResult('error');
      throw error;
    }
  });
}

/**
 * Finds the user of a name, as they are today.
 *
 * @throws AuthenticatorError `failed` when several users have the name: the first one may be another person
 */
export async function findInDirectory(
  plugin: Pick<Authenticator, 'lookUp' | 'revalidate'>,
  name: string,
  own: AuthenticateContext,
): Promise<Decision> {
  const { signal, trace } = own;
  if (plugin.lookUp === undefined)
    throw new AuthenticatorError('failed', 'its plugin has no lookUp');
  const context = { signal, isJoin: true, ...(trace && { trace }) };
  const user: unknown = await plugin.lookUp(name, context);
  // The directory has answered: if the rest takes long, only this user has very many groups.
  own.backendAnswered?.();
  if (user === undefined) return { kind: 'no-opinion' };
  const found = readDecision({ kind: 'authenticated', user });
  if (found.kind !== 'authenticated') return found;
  const today = await revalidateUser(plugin, found.user, { signal, ...(trace && { trace }) });
  if (today.kind === 'rejected' && today.reason === 'ambiguous')
    throw new AuthenticatorError('failed', 'several users have this name');
  return today;
}
