import type { LookUpContext, UserInfo } from '@sallyport/authenticator';
import type { LdapDirectory } from '../directory/types.ts';
import { loginError } from '../login-error.ts';
import type { LdapOptions } from '../options/types.ts';
import { isUsername } from './credentials.ts';
import type { DirectoryUser } from './find-user.ts';
import { createJoin, shown } from './join.ts';
import { findEntry, type TracedCall } from './look-up.ts';

/**
 * Finds the user whose groups the user of another authenticator gets, by one search and an exact match. It reads no groups:
 * `revalidate` does.
 *
 * @param username anything that the token of another authenticator says
 * @throws AuthenticatorError `failed` for several entries, for one whose name is only similar, and for a name that no entry can have
 */
export async function joinUser(
  directory: LdapDirectory,
  options: LdapOptions,
  username: string,
  { signal, trace }: Pick<LookUpContext, 'signal' | 'trace'>,
): Promise<UserInfo | undefined> {
  signal.throwIfAborted();
  const join = createJoin(options.user);
  // Who is not looked for is not missing: `missing: accept` would let them in, disabled or not.
  if (!isUsername(username) || (join.fill && join.fill(username) === undefined)) {
    throw loginError(
      `"${shown(username)}" can't be a value of ${join.attributes.join(' or ')}, so no one is looked for`,
      `map a claim that has the attribute's values, or change ${join.option}`,
    );
  }
  const call = { signal, trace };
  const { value: result, server } = await findEntry(directory, options, { username, join }, call);
  signal.throwIfAborted();
  if (result.kind === 'none') return undefined;
  if (result.kind === 'unusable') throw result.error;
  if (result.kind === 'ambiguous') {
    const fix =
      join.option === 'user.filter'
        ? 'set user.lookUpFilter, or change user.filter,'
        : `change ${join.option}`;
    throw loginError(
      `${join.option} matches several entries: ${fix} so that it finds one for each name`,
    );
  }
  const { user } = result;
  if (join.option === 'user.lookUpFilter' && user.uid === undefined)
    await refuseNamesake(directory, options, user, { ...call, prefer: server });
  trace?.(`exact match: "${user.dn}", the user "${user.username}"`);
  return {
    username: user.username,
    ...(user.uid !== undefined && { uid: user.uid }),
    ...(user.extra && { extra: user.extra }),
  };
}

/**
 * Refuses a user whose name is of another user for `revalidate`. Without a uid, it finds users by the name alone, and
 * `user.filter` may exclude the entry that `user.lookUpFilter` finds.
 */
async function refuseNamesake(
  directory: LdapDirectory,
  options: LdapOptions,
  { dn, username }: DirectoryUser,
  call: TracedCall,
): Promise<void> {
  const { value } = await findEntry(directory, options, { username, hasLoggedIn: true }, call);
  if (value.kind !== 'found' || value.user.dn === dn) return;
  throw loginError(
    `user.lookUpFilter finds ${dn}, but user.filter finds ${value.user.dn} by the same name: ` +
      'set user.attributes.uid, to which the service account has read access',
  );
}
