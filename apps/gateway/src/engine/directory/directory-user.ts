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

const resultByKind = {
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
        (plugin, pluginContext) => findInDirectory(plugin, name, pluginContext),
        `${authenticator} ${name}`,
      );
      onResult(resultByKind[decision.kind]);
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
  pluginContext: AuthenticateContext,
): Promise<Decision> {
  const { signal, trace } = pluginContext;
  if (plugin.lookUp === undefined)
    throw new AuthenticatorError('failed', 'its plugin has no lookUp');
  const context = { signal, isJoin: true, ...(trace && { trace }) };
  const user: unknown = await plugin.lookUp(name, context);
  // The directory has answered: if the rest takes long, only this user has very many groups.
  pluginContext.backendAnswered?.();
  if (user === undefined) return { kind: 'no-opinion' };
  const account = readDecision({ kind: 'authenticated', user });
  if (account.kind !== 'authenticated') return account;
  const today = await revalidateUser(plugin, account.user, { signal, ...(trace && { trace }) });
  if (today.kind === 'rejected' && today.reason === 'ambiguous')
    throw new AuthenticatorError('failed', 'several users have this name');
  return today;
}
