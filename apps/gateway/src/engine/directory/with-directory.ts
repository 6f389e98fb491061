import {
  type Authenticated,
  type Authenticator,
  AuthenticatorError,
  type Decision,
  type LookUpKey,
  type UserInfo,
} from '@sallyport/authenticator';
import { printable } from '../../base/logging/printable.ts';
import type { DirectoryConfig } from '../../config/types.ts';
import { after } from '../chain/answer.ts';
import type { LinkContext } from '../chain/chain.ts';
import { layer } from '../chain/layer.ts';
import { UserContext } from '../users/user-context.ts';

/** A directory, as an authenticator with `directory` in its config uses it. */
export interface Directory {
  readonly config: DirectoryConfig;
  /** What the policy of the directory puts before the names of its users. */
  readonly usernamePrefix: string;
  /** Is asked with a name instead of a token, and answers with the names that the policy of the directory makes. */
  readonly users: Authenticator;
}

/**
 * Gives each user of `inner` the groups that they have in a directory now, and refuses those whose account may not be used. An error of
 * the directory is an error of this authenticator: a user never gets fewer groups because of it. The username, uid and `extra` stay
 * those of the token.
 *
 * It is around the cache and the identity policy, so the token's own groups have passed the policy of its authenticator, and the
 * directory's groups the policy of the directory.
 *
 * @param usernamePrefix what that policy puts before the name that the token gives
 */
export function withDirectory(
  inner: Authenticator,
  directory: Directory,
  usernamePrefix: string,
): Authenticator {
  const decide = joiningDirectory(directory, usernamePrefix);
  return layer(inner, (token, context) =>
    after(inner.authenticate(token, context), (own) => decide(own, context)),
  );
}

/** Makes what {@link withDirectory} does to decisions that no authenticator makes now. */
export function joiningDirectory(
  { config, users, usernamePrefix: directoryPrefix }: Directory,
  usernamePrefix: string,
): (own: Decision, context: LinkContext) => Decision | Promise<Decision> {
  return (own, context) => {
    if (own.kind !== 'authenticated') return own;
    const { authenticator: directory } = config;
    const { onNames } = context;
    context.onDirectory?.(directory);
    const name = joinName(own.user, config.by, usernamePrefix);
    context.trace?.(`the user is looked up in ${directory} as ${JSON.stringify(name)}`);
    const asked = new UserContext(
      context,
      onNames && ((given, named) => onNames(given, named, directory)),
      (failure) => addDirectoryName(failure, directory, name),
    );
    return after(
      users.authenticate(name, asked),
      (found) => {
        const account = accountOf(found, directoryPrefix);
        if (account !== undefined) context.onDirectory?.(directory, account);
        return join(own, found, config, usernamePrefix);
      },
      (error) => {
        throw addDirectoryName(error, directory, name);
      },
    );
  };
}

/** Names the account as Kubernetes would see it. A block has that name already. Every other refusal has the backend's name. */
function accountOf(found: Decision, usernamePrefix: string): string | undefined {
  if (found.kind === 'authenticated') return found.user.username;
  if (found.kind === 'no-opinion' || found.subject === undefined) return undefined;
  return found.reason === 'blocked' ? found.subject : usernamePrefix + found.subject;
}

/** Returns what a user is looked up by. @throws AuthenticatorError `failed` if the token does not say it */
export function joinName(
  user: UserInfo,
  by: DirectoryConfig['by'],
  usernamePrefix: string,
): string {
  const values =
    by === 'username' ? [user.username.slice(usernamePrefix.length)] : joinValues(user, by);
  const [name = ''] = values;
  if (values.length === 1 && name !== '') return name;
  const count = values.length > 1 ? `${values.length} values` : 'no value';
  const what = typeof by === 'object' ? `extra ${by.extra}` : by;
  throw new AuthenticatorError(
    'failed',
    `the token has ${count} of ${what}, by which directory.by looks its user up: map one in the options, or change directory.by`,
  );
}

/** Returns the values of the `uid`, or of a key of `extra`, of which there must be one. */
export function joinValues(
  { uid, extra = {} }: UserInfo,
  by: Exclude<LookUpKey, 'username'>,
): readonly string[] {
  if (by === 'uid') return uid === undefined ? [] : [uid];
  return Object.hasOwn(extra, by.extra) ? (extra[by.extra] ?? []) : [];
}

/** Joins what the token and the directory say. Without `authenticated` of both, the user is not let in. */
function join(
  own: Authenticated,
  found: Decision,
  { groups: mode, missing }: DirectoryConfig,
  usernamePrefix: string,
): Decision {
  if (found.kind !== 'authenticated') {
    if (found.kind === 'no-opinion' && missing === 'accept') return withGroups(own, [], mode);
    const reason = found.kind === 'rejected' ? found.reason : 'unknown-user';
    // The same holds for the name of the token's user.
    const { username } = own.user;
    const subject = reason === 'blocked' ? username : username.slice(usernamePrefix.length);
    return { kind: 'rejected', reason, subject };
  }
  const expiresAt = earlier(own.expiresAt, found.expiresAt);
  return {
    ...withGroups(own, found.user.groups ?? [], mode),
    ...(expiresAt && { expiresAt }),
  };
}

function withGroups(
  own: Authenticated,
  found: readonly string[],
  mode: DirectoryConfig['groups'],
): Authenticated {
  const { groups = [] } = own.user;
  return { ...own, user: { ...own.user, groups: groupsOf(groups, found, mode) } };
}

/** With `replace`, the identity policy has left out the groups of the token already: so their number does not count. */
function groupsOf(
  own: readonly string[],
  found: readonly string[],
  mode: DirectoryConfig['groups'],
): readonly string[] {
  if (mode === 'keep') return own;
  if (mode === 'replace' || own.length === 0) return found;
  return [...new Set([...own, ...found])];
}

function earlier(one: Date | undefined, other: Date | undefined): Date | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one < other ? one : other;
}

/** The limit in characters for a name in a message. */
const maxShown = 64;

/**
 * Names the directory in an error, so that the operator looks there, and the name if the error is of this user alone. It stays an
 * outage, or an error of this user.
 */
export function addDirectoryName(error: unknown, directory: string, name: string): unknown {
  if (!AuthenticatorError.is(error)) return error;
  const shown = printable(JSON.stringify(name.slice(0, maxShown).toWellFormed()));
  const message =
    error.code === 'failed' ? `${error.message} (looked up: ${shown})` : error.message;
  return new AuthenticatorError(error.code, makePrefix(directory) + message, { cause: error });
}

/** Whether an error is about a directory, and not about the token. */
export function isDirectoryError(error: Error, directory: string): boolean {
  return error.message.startsWith(makePrefix(directory));
}

const makePrefix = (directory: string) => `directory ${directory}: `;
