import { type AuthenticateContext, AuthenticatorError, type UserInfo } from '@sallyport/authenticator';
import type { Answered, Directory, DirectoryCall } from '../directory/types.ts';
import type { LdapOptions } from '../options/types.ts';
import { textsOf } from './entry-values.ts';
import { findGroups, groupAttributes, userAnswerBytes, userFilter } from './find-groups.ts';
import { type Finding, findUser } from './find-user.ts';
import { traced } from './traced.ts';
import type { DirectoryUser } from './user-entry.ts';

/** Of a login or a look-up that may be shown to an operator. */
export interface TracedCall extends DirectoryCall {
  readonly trace?: AuthenticateContext['trace'];
}

/** The entry of a typed name, with all that its groups need. @throws AuthenticatorError as `Directory.withService` */
export function findEntry(
  directory: Directory,
  options: LdapOptions,
  username: string,
  { signal, trace }: TracedCall,
): Promise<Answered<Finding>> {
  const { user, groups } = options;
  const search = {
    username,
    options: user,
    moreAttributes: groupAttributes(groups),
    maxBytes: userAnswerBytes(groups),
  };
  return findUser(traced(directory, 'user search', trace), search, { signal });
}

/** @throws AuthenticatorError as `findGroups` */
export async function withGroups(
  directory: Directory,
  options: LdapOptions,
  user: DirectoryUser,
  call: TracedCall,
): Promise<UserInfo> {
  const { username, uid, extra, dn } = user;
  const { trace, ...rest } = call;
  trace?.(`the entry of the user is "${dn}"`);
  if (trace) traceGroupsSource(options.groups, user, trace);
  const groups =
    options.groups && (await findGroups(traced(directory, 'group search', trace), options.groups, user, rest));
  return { username, ...(uid !== undefined && { uid }), ...(groups && { groups }), ...(extra && { extra }) };
}

/** As a login, without its bind. @throws AuthenticatorError `failed` also when several entries have the name */
export async function lookUpUser(
  directory: Directory,
  options: LdapOptions,
  username: string,
  { signal, trace }: Pick<AuthenticateContext, 'signal' | 'trace'>,
): Promise<UserInfo | undefined> {
  const { value: finding, server } = await findEntry(directory, options, username, { signal, trace });
  if (finding.kind === 'none') return undefined;
  if (finding.kind === 'unusable') throw finding.error;
  if (finding.kind === 'ambiguous') {
    throw new AuthenticatorError('failed', 'several entries have this name: make user.filter find one only');
  }
  return withGroups(directory, options, finding.user, { signal, trace, prefer: server, subject: finding.user.dn });
}

/** What no search shows: where groups come from that are not searched for. */
function traceGroupsSource(groups: LdapOptions['groups'], user: DirectoryUser, trace: (step: string) => void): void {
  if (groups === undefined) trace('no groups are looked for: options.groups is missing');
  else if (groups.by === 'attribute') {
    const { length } = textsOf(user.entry, groups.attribute);
    trace(`the attribute ${groups.attribute} of the entry names ${length} ${length === 1 ? 'group' : 'groups'}`);
  } else if (userFilter(groups, user) === undefined) {
    trace('no groups are looked for: the entry has no value for a placeholder of groups.filter');
  }
}
