import {
  type AuthenticateContext,
  type Authenticator,
  AuthenticatorError,
  type Decision,
  type Logger,
} from '@sallyport/authenticator';
import { entryRequest } from '../connection/entry-request.ts';
import { namedCode } from '../directory/result-codes.ts';
import type {
  DirectoryCall,
  LdapDirectory,
  SearchConnection,
  ServerAnswer,
} from '../directory/types.ts';
import { type Filter, filterText } from '../filter/filter.ts';
import { loginError } from '../login-error.ts';
import type { LdapOptions } from '../options/types.ts';
import {
  type AccountState,
  accountAttributes,
  accountText,
  readAccountState,
  visiblyUnlocked,
} from './account-state.ts';
import { isUsername } from './credentials.ts';
import { readTexts } from './entry-values.ts';
import { findGroups, groupAttributes, userAnswerBytes, userFilter } from './find-groups.ts';
import {
  type DirectoryUser,
  findUserEntry,
  type UserSearch,
  type UserSearchResult,
} from './find-user.ts';
import { policyAttribute, readLockoutDuration } from './password-policy.ts';

/** A call whose steps may be shown to an operator. */
export interface TracedCall extends DirectoryCall {
  readonly trace?: AuthenticateContext['trace'];
}

type SearchedUser = Pick<UserSearch, 'username' | 'hasLoggedIn' | 'uid' | 'join'>;

/**
 * Finds the entry of a user, with the attributes that the search for groups needs. A join needs none of them.
 *
 * @param extraAttributes further attributes to read
 */
export function findEntry(
  directory: LdapDirectory,
  options: LdapOptions,
  searched: SearchedUser,
  { trace, ...call }: TracedCall,
  extraAttributes: readonly string[] = [],
): Promise<ServerAnswer<UserSearchResult>> {
  const { user, groups } = options;
  const { join } = searched;
  const moreAttributes = join?.attributes ?? [...groupAttributes(groups), ...extraAttributes];
  const search = { ...searched, options: user, moreAttributes, maxBytes: userAnswerBytes(groups) };
  const purpose = join ? `user search (${join.option})` : 'user search';
  return findUserEntry(traced(directory, purpose, trace), search, call);
}

/** Makes the user for Kubernetes, with the groups of now. @throws AuthenticatorError as `findGroups` */
export async function withGroups(
  directory: LdapDirectory,
  options: LdapOptions,
  user: DirectoryUser,
  call: TracedCall,
) {
  const { username, uid, extra, dn } = user;
  const { trace, ...directoryCall } = call;
  trace?.(`the entry of the user is "${dn}"`);
  if (trace) traceMissingUid(options.user.attributes.uid, uid, trace);
  if (trace) traceGroupsSource(options.groups, user, trace);
  const groups =
    options.groups &&
    (await findGroups(
      traced(directory, 'group search', trace),
      options.groups,
      user,
      directoryCall,
    ));
  return {
    username,
    ...(uid !== undefined && { uid }),
    ...(groups && { groups }),
    ...(extra && { extra }),
  };
}

/** Reports why a user has no uid although an option names an attribute for it. */
function traceMissingUid(
  attribute: string | undefined,
  uid: string | undefined,
  trace: (step: string) => void,
): void {
  if (attribute === undefined || uid !== undefined) return;
  const cause = `the entry has no value for ${attribute} (user.attributes.uid), or the service account is not allowed to read it`;
  trace(`no uid: ${cause}`);
}

/** Reports where groups come from when no search shows it. */
function traceGroupsSource(
  groups: LdapOptions['groups'],
  user: DirectoryUser,
  trace: (step: string) => void,
): void {
  if (groups === undefined) trace('no groups are looked for: options.groups is missing');
  else if (groups.by === 'attribute') {
    const { length } = readTexts(user.entry, groups.attribute);
    trace(
      `the attribute ${groups.attribute} of the entry names ${length} ${length === 1 ? 'group' : 'groups'}`,
    );
  } else if (userFilter(groups, user) === undefined) {
    trace('no groups are looked for: the entry has no value for a placeholder of groups.filter');
  }
}

/** How many characters of a filter are shown. One for the parents of many groups may be very long. */
const maxShownFilter = 2_000;

/**
 * Returns the same directory, which reports each search and how many entries it found. Searches with one filter below
 * several bases are one level of a search for groups.
 */
function traced(
  directory: LdapDirectory,
  purpose: string,
  trace: ((step: string) => void) | undefined,
): LdapDirectory {
  if (trace === undefined) return directory;
  const { withService } = directory;
  return {
    ...directory,
    withService: (work, call) =>
      withService((connection) => work(tracedSearch(connection, purpose, trace)), call),
  };
}

function tracedSearch(
  connection: SearchConnection,
  purpose: string,
  trace: (step: string) => void,
): SearchConnection {
  const filters: Filter[] = [];
  return {
    async search(request, signal) {
      const { base, scope, filter } = request;
      if (!filters.includes(filter)) filters.push(filter);
      const level = filters.length > 1 ? `, level ${filters.length}` : '';
      const text = filterText(filter);
      const shown =
        text.length > maxShownFilter
          ? `${text.slice(0, maxShownFilter)}... (${text.length} characters)`
          : text;
      const place = `${purpose}${level} below "${base}" (scope ${scope}), filter ${shown}`;
      try {
        const result = await connection.search(request, signal);
        const { length } = result.entries;
        const code = result.code === 0 ? '' : `, ${namedCode(result.code)}`;
        trace(`${place}: ${length} ${length === 1 ? 'entry' : 'entries'}${code}`);
        return result;
      } catch (error) {
        trace(`${place}: no answer`);
        throw error;
      }
    },
  };
}

/** The attributes that say whether an account may be used. */
const stateAttributes: readonly string[] = [...accountAttributes, policyAttribute];

/** Reads the state of an account, and how long a lock lasts. @throws AuthenticatorError as {@link readAccountState} */
async function readState(
  directory: LdapDirectory,
  { user: options }: LdapOptions,
  { entry }: DirectoryUser,
  { trace, ...call }: TracedCall,
  moments: Pick<Parameters<typeof readAccountState>[1], 'since' | 'isJoin'> = {},
): Promise<AccountState> {
  const searched = traced(directory, 'password policy', trace);
  const lockoutDuration = await readLockoutDuration(searched, options, entry, call);
  return readAccountState(entry, {
    ...moments,
    now: Date.now(),
    ...(lockoutDuration !== undefined && { lockoutDuration }),
  });
}

/** Looks a user up without a bind, by the name that is typed at a login or by the name in Kubernetes. */
export async function lookUpDirectoryUser(
  directory: LdapDirectory,
  options: LdapOptions,
  username: string,
  { signal, trace }: Pick<AuthenticateContext, 'signal' | 'trace'>,
) {
  signal.throwIfAborted();
  if (!isUsername(username)) return undefined;
  const attributes = trace ? stateAttributes : [];
  const find = (searched: SearchedUser) =>
    findEntry(directory, options, searched, { signal, trace }, attributes);
  const typed = await find({ username });
  // Kubernetes may know users by an attribute that no login is found by.
  const isElsewhere = typed.value.kind === 'none' && options.user.find.by === 'search';
  const { value: result, server } = isElsewhere
    ? await find({ username, hasLoggedIn: true })
    : typed;
  if (result.kind === 'none') return undefined;
  if (result.kind === 'unusable') throw result.error;
  if (result.kind === 'ambiguous') {
    throw loginError('several entries have this name: change user.filter so that it finds one');
  }
  const { user } = result;
  const call = { signal, trace, prefer: server, subject: user.dn };
  const userInfo = await withGroups(directory, options, user, call);
  if (trace) await traceAccount(readState(directory, options, user, call), trace);
  return userInfo;
}

/** Reports the state of the account. It ends no look-up, which only shows what is there. */
async function traceAccount(
  state: Promise<AccountState>,
  trace: (step: string) => void,
): Promise<void> {
  try {
    trace(accountText(await state));
  } catch (error) {
    if (!AuthenticatorError.is(error)) throw error;
    trace(`account state: ${error.message}`);
  }
}

/** Whether the directory shows that the user is not locked. It does not if the search fails. */
async function isVisiblyUnlocked(
  directory: LdapDirectory,
  entry: string,
  call: DirectoryCall,
): Promise<boolean> {
  const request = { ...entryRequest(entry), filter: visiblyUnlocked };
  const look = ({ search }: SearchConnection) => search(request, call.signal);
  const result = await directory.withService(look, call).catch(() => undefined);
  return result !== undefined && result.value.entries.length > 0;
}

type Revalidate = NonNullable<Authenticator['revalidate']>;

const unknownUser: Decision = Object.freeze({ kind: 'rejected', reason: 'unknown-user' });

/**
 * Creates the check of a user who has logged in before, by the service account. Logins must still
 * find the user, with the name and the uid of the login. A session belongs to a name, so a user who
 * was renamed has to log in again.
 */
export function createRevalidate(
  directory: LdapDirectory,
  options: LdapOptions,
  logger: Logger,
): Revalidate {
  let isSettled = false;

  /**
   * Warns once that what the service account is not allowed to read ends no session. A new entry that has
   * nothing yet is no reason.
   */
  async function warnOfHiddenState(
    entry: string,
    { seen: visible, hidden }: AccountState,
    call: DirectoryCall,
  ): Promise<void> {
    if (isSettled || (visible.length > 0 && hidden.length === 0)) return;
    isSettled = true;
    if (visible.length === 0) {
      if (await isVisiblyUnlocked(directory, entry, call)) return;
      const fix =
        'let the service account read its attributes, or turn on the password policy of the directory';
      logger.warn(
        { entry, fix },
        'account state not readable: a disabled account or a changed password ends no session',
      );
      return;
    }
    const fix = 'let the service account read them, and ask no global catalog';
    logger.warn(
      { entry, attributes: hidden.join(', '), fix },
      'account state readable in part: what only these attributes show ends no session',
    );
  }

  return async ({ username, uid }, { since, signal, trace }) => {
    signal.throwIfAborted();
    const sinceTime = since?.getTime();
    if (sinceTime !== undefined && Number.isNaN(sinceTime))
      throw loginError('the time of the login is not a date');
    if (!isUsername(username)) return unknownUser;
    const searched = { username, uid, hasLoggedIn: true };
    const { value: result, server } = await findEntry(
      directory,
      options,
      searched,
      { signal, trace },
      stateAttributes,
    );
    signal.throwIfAborted();
    if (result.kind === 'unusable') throw result.error;
    if (result.kind === 'ambiguous') return { kind: 'rejected', reason: 'ambiguous' };
    if (result.kind === 'none') return unknownUser;
    const { user } = result;
    if (user.username !== username || (uid !== undefined && user.uid !== uid)) return unknownUser;
    const login = sinceTime === undefined ? { isJoin: true } : { since: sinceTime };
    const call = { signal, trace, prefer: server, subject: user.dn };
    const state = await readState(directory, options, user, call, login);
    trace?.(accountText(state));
    if (state.refusal?.reason === 'unknown-user') return unknownUser;
    if (state.refusal) return { kind: 'rejected', reason: state.refusal.reason, subject: username };
    await warnOfHiddenState(user.dn, state, call);
    const decision: Decision = {
      kind: 'authenticated',
      user: await withGroups(directory, options, user, call),
    };
    signal.throwIfAborted();
    return decision;
  };
}
