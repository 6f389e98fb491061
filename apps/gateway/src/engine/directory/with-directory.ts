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
 * the directory is an error of this authenticator: a user never gets fewer groups because of it. The username, uid and `extra` of the token
 * stay.
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
  const join = createDirectoryJoin(directory, usernamePrefix);
  return layer(inner, (token, context) =>
    after(inner.authenticate(token, context), (tokenDecision) => join(tokenDecision, context)),
  );
}

/** Makes what {@link withDirectory} does to decisions that no authenticator makes now. */
export function createDirectoryJoin(
  { config, users, usernamePrefix: directoryPrefix }: Directory,
  usernamePrefix: string,
): (tokenDecision: Decision, context: LinkContext) => Decision | Promise<Decision> {
  return (tokenDecision, context) => {
    if (tokenDecision.kind !== 'authenticated') return tokenDecision;
    const { authenticator: directory } = config;
    const { onNames } = context;
    context.onDirectory?.(directory);
    const name = joinName(tokenDecision.user, config.by, usernamePrefix);
    context.trace?.(`the user is looked up in ${directory} as ${JSON.stringify(name)}`);
    const userContext = new UserContext(
      context,
      onNames && ((backendUser, user) => onNames(backendUser, user, directory)),
      (failure) => addDirectoryName(failure, directory, name),
    );
    return after(
      users.authenticate(name, userContext),
      (accountDecision) => {
        const account = nameAccount(accountDecision, directoryPrefix);
        if (account !== undefined) context.onDirectory?.(directory, account);
        return join(tokenDecision, accountDecision, config, usernamePrefix);
      },
      (error) => {
        throw addDirectoryName(error, directory, name);
      },
    );
  };
}

/** Names the account as Kubernetes would see it. A block has that name already. Every other refusal has the backend's name. */
function nameAccount(accountDecision: Decision, usernamePrefix: string): string | undefined {
  if (accountDecision.kind === 'authenticated') return accountDecision.user.username;
  if (accountDecision.kind === 'no-opinion' || accountDecision.subject === undefined)
    return undefined;
  return accountDecision.reason === 'blocked'
    ? accountDecision.subject
    : usernamePrefix + accountDecision.subject;
}

/** Returns what a user is looked up by. @throws AuthenticatorError `failed` if the token does not say it */
export function joinName(
  user: UserInfo,
  lookUpKey: DirectoryConfig['by'],
  usernamePrefix: string,
): string {
  const values =
    lookUpKey === 'username'
      ? [user.username.slice(usernamePrefix.length)]
      : joinValues(user, lookUpKey);
  const [name = ''] = values;
  if (values.length === 1 && name !== '') return name;
  const count = values.length > 1 ? `${values.length} values` : 'no value';
  const keyText = typeof lookUpKey === 'object' ? `extra ${lookUpKey.extra}` : lookUpKey;
  throw new AuthenticatorError(
    'failed',
    `the token has ${count} of ${keyText}, by which directory.by looks its user up: map one in the options, or change directory.by`,
  );
}

/** Returns the values of the `uid`, or of a key of `extra`, of which there must be one. */
export function joinValues(
  { uid, extra = {} }: UserInfo,
  lookUpKey: Exclude<LookUpKey, 'username'>,
): readonly string[] {
  if (lookUpKey === 'uid') return uid === undefined ? [] : [uid];
  return Object.hasOwn(extra, lookUpKey.extra) ? (extra[lookUpKey.extra] ?? []) : [];
}

/** Joins what the token and the directory say. Without `authenticated` of both, the user is not let in. */
function join(
  tokenDecision: Authenticated,
  accountDecision: Decision,
  { groups: mode, missing: missingUser }: DirectoryConfig,
  usernamePrefix: string,
): Decision {
  if (accountDecision.kind !== 'authenticated') {
    if (accountDecision.kind === 'no-opinion' && missingUser === 'accept')
      return withGroups(tokenDecision, [], mode);
    const reason = accountDecision.kind === 'rejected' ? accountDecision.reason : 'unknown-user';
    // The same holds for the name of the token's user.
    const { username } = tokenDecision.user;
    const subject = reason === 'blocked' ? username : username.slice(usernamePrefix.length);
    return { kind: 'rejected', reason, subject };
  }
  const expiresAt = pickEarlier(tokenDecision.expiresAt, accountDecision.expiresAt);
  return {
    ...withGroups(tokenDecision, accountDecision.user.groups ?? [], mode),
    ...(expiresAt && { expiresAt }),
  };
}

function withGroups(
  tokenDecision: Authenticated,
  directoryGroups: readonly string[],
  mode: DirectoryConfig['groups'],
): Authenticated {
  const { groups = [] } = tokenDecision.user;
  return {
    ...tokenDecision,
    user: { ...tokenDecision.user, groups: joinGroups(groups, directoryGroups, mode) },
  };
}

/** With `replace`, the identity policy has left out the groups of the token already: so their number does not count. */
function joinGroups(
  tokenGroups: readonly string[],
  directoryGroups: readonly string[],
  mode: DirectoryConfig['groups'],
): readonly string[] {
  if (mode === 'keep') return tokenGroups;
  if (mode === 'replace' || tokenGroups.length === 0) return directoryGroups;
  return [...new Set([...tokenGroups, ...directoryGroups])];
}

function pickEarlier(a: Date | undefined, b: Date | undefined): Date | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
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
