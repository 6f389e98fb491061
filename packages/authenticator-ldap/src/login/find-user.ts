import { AuthenticatorError, type UserInfo } from '@sallyport/authenticator';
import { entryRequest } from '../connection/entry-request.ts';
import { ServerError } from '../connection/server-error.ts';
import type { LdapEntry, SearchRequest } from '../connection/types.ts';
import { classifySearch, namedCode } from '../directory/result-codes.ts';
import type {
  DirectoryCall,
  LdapDirectory,
  SearchConnection,
  ServerAnswer,
} from '../directory/types.ts';
import type { Filter } from '../filter/filter.ts';
import type { FilterTemplate } from '../filter/filter-template.ts';
import { loginError } from '../login-error.ts';
import type { UserOptions } from '../options/types.ts';
import { attributeValue, entryDn, onlyText, readTexts } from './entry-values.ts';
import type { Join } from './join.ts';
import { mayHaveUsers } from './references.ts';

export type UserSearchResult =
  | { readonly kind: 'found'; readonly user: DirectoryUser }
  | { readonly kind: 'none' }
  /** `entries` are the DNs of the entries that were seen. */
  | { readonly kind: 'ambiguous'; readonly entries: readonly string[] }
  /** There is an entry, but the login can't use it. The code of `error` is `failed`. */
  | { readonly kind: 'unusable'; readonly error: AuthenticatorError };

export interface UserSearch {
  /** The name as typed, or for a user who has logged in, as the directory wrote it then. */
  readonly username: string;
  readonly hasLoggedIn?: boolean;
  /** Another authenticator has the user. The entry must then have exactly this name. */
  readonly join?: Join;
  /** The uid that the login of the user had, if it had one. */
  readonly uid?: string | undefined;
  readonly options: UserOptions;
  /** The attributes that the search for groups needs. */
  readonly moreAttributes: readonly string[];
  /**
   * The limit for the entry as the server sends it. Anyone who sends a name has it read, and
   * reading blocks all logins.
   */
  readonly maxBytes: number;
}

/** Finds the one entry for a name. The server does the same work for every name: always one search for each base. */
export async function findUserEntry(
  directory: LdapDirectory,
  search: UserSearch,
  call: DirectoryCall,
): Promise<ServerAnswer<UserSearchResult>> {
  const { options, moreAttributes } = search;
  const { username, uid, email, extra } = options.attributes;
  const named = [username, uid, email, ...Object.values(extra), ...moreAttributes].filter(
    (attribute) => attribute !== undefined,
  );
  // Names of attributes are compared without regard to case.
  const attributes = [
    ...new Map(named.map((attribute) => [attribute.toLowerCase(), attribute])).values(),
  ];
  return await directory.withService(async (connection) => {
    try {
      const { entries, isCut, referredAt } = await findEntries(
        connection,
        search,
        attributes,
        call.signal,
      );
      const [entry, ...otherEntries] = distinctEntries(entries);
      if (isCut || otherEntries.length > 0)
        return { kind: 'ambiguous', entries: entries.map(({ dn = '' }) => dn) };
      if (entry === undefined && search.join !== undefined && referredAt !== undefined)
        throw referred(referredAt);
      if (entry === undefined) return { kind: 'none' };
      search.join?.check(entry, search.username);
      return { kind: 'found', user: readUser(entry, options.attributes) };
    } catch (error) {
      if (AuthenticatorError.is(error) && error.code === 'failed' && !call.signal.aborted) {
        return { kind: 'unusable', error };
      }
      throw error;
    }
  }, call);
}

async function findEntries(
  connection: SearchConnection,
  search: UserSearch,
  attributes: readonly string[],
  signal: AbortSignal,
): Promise<FoundEntries> {
  const { options, maxBytes } = search;
  const { find } = options;
  if (find.by === 'dn') {
    const base = find.template.fill(search.username);
    const { parent } = find.template;
    const request = { ...entryRequest(base, attributes), sizeLimit: 2, maxBytes };
    const result = await searchEntries(connection, request, userLookUp, signal, parent);
    // No such entry, and no such parent, have one code. A user of another authenticator is missing only if there is the
    // parent, which a replica that is being filled does not have yet.
    if (search.join !== undefined && result.entries.length === 0)
      await searchEntries(connection, entryRequest(parent), parentLookUp, signal);
    return result;
  }
  const filter = makeFilter(find.filter, search);
  if (filter === undefined) return { entries: [], isCut: false };
  const entries: LdapEntry[] = [];
  let isCut = false;
  let referredAt: string | undefined;
  for (const base of find.bases) {
    const request = { base, scope: find.scope, filter, attributes, sizeLimit: 2, maxBytes };
    const result = await searchEntries(connection, request, userSearch, signal);
    entries.push(...result.entries);
    isCut ||= result.isCut;
    referredAt ??= result.referredAt;
  }
  return { entries, isCut, ...(referredAt !== undefined && { referredAt }) };
}

/** A user of another authenticator is not missing then: `missing: accept` would let them in, and another server may have their account. */
function referred(base: string): AuthenticatorError {
  return loginError(
    `the lookup below "${base}" found no one, and was answered with a referral, which is not followed`,
    'correct the base in options.user, or name in urls the servers that have it',
  );
}

function makeFilter(template: FilterTemplate, search: UserSearch): Filter | undefined {
  const { username, join, hasLoggedIn, options } = search;
  if (join?.fill) return join.fill(username);
  if (hasLoggedIn) return filterOfLogin(template, options.attributes, search);
  return template.fill((placeholder) => (placeholder === 'username' ? [username] : []));
}

/**
 * Finds the entry whose login was answered with this name and uid. The typed name may have been another one, so
 * `{username}` matches any text, and the rest of the filter must still match.
 *
 * The filter has both the uid and the name: a directory need only have an index on one of them.
 *
 * @returns undefined when no entry can have this uid
 */
function filterOfLogin(
  template: FilterTemplate,
  attributes: UserOptions['attributes'],
  { username, uid }: UserSearch,
): Filter | undefined {
  const equal = (attribute: string, value: Buffer): Filter => ({
    kind: 'equality',
    attribute,
    value,
  });
  const filters = [equal(attributes.username, Buffer.from(username)), template.anyValues];
  if (uid === undefined) return { kind: 'and', filters };
  const uidValue = attributes.uid && attributeValue(attributes.uid, uid);
  if (!attributes.uid || !uidValue) return undefined;
  return { kind: 'and', filters: [equal(attributes.uid, uidValue), ...filters] };
}

/** Drops repeated entries, which two overlapping bases find. One server spells a DN in one way. */
function distinctEntries(entries: readonly LdapEntry[]): readonly LdapEntry[] {
  return entries.filter(
    ({ dn }, index) => dn === undefined || entries.findIndex((entry) => entry.dn === dn) === index,
  );
}

/**
 * The limit in bytes for all texts of a user, without the groups. Users may often write attributes of their own, and
 * kube-apiserver sends them on to other servers in headers, which must be far smaller.
 */
const maxUserBytes = 65_536;

export interface DirectoryUser extends Omit<UserInfo, 'groups'> {
  readonly dn: string;
  readonly entry: LdapEntry;
}

/**
 * Reads a user's entry: the username must have one value, `uid` may be missing, attributes in `extra` may be missing or
 * have many values. `email` becomes the key of that name in `extra`.
 */
function readUser(
  entry: LdapEntry,
  { username, uid, email, extra }: UserOptions['attributes'],
): DirectoryUser {
  const dn = entryDn(entry, 'a user');
  const name = onlyText(entry, username);
  if (name === undefined) {
    throw loginError(
      `the attribute ${username} of ${dn} is missing or empty`,
      'correct user.attributes.username, or let the service account read it',
    );
  }
  const id = uid === undefined ? undefined : onlyText(entry, uid);
  const named = Object.entries({ ...extra, ...(email !== undefined && { email }) });
  const texts = named.map(([key, attribute]) => [key, readTexts(entry, attribute)] as const);
  const present = texts.filter(([, values]) => values.length > 0);
  const bytes = Buffer.byteLength(
    [name, id ?? '', ...present.flatMap(([, values]) => values)].join(''),
  );
  if (bytes > maxUserBytes) {
    throw loginError(
      `the attributes of ${dn} have ${bytes} bytes, over ${maxUserBytes}`,
      'clear them, or name other attributes under user.attributes',
    );
  }
  return {
    dn,
    entry,
    username: name,
    ...(id !== undefined && { uid: id }),
    ...(present.length > 0 && { extra: Object.fromEntries(present) }),
  };
}

const userSearch = 'the search for a user';
const userLookUp = 'the lookup of a user (user.dnTemplate)';
const parentLookUp = 'the lookup of the parent (user.dnTemplate)';
export const groupSearch = 'the search for groups';

type SearchPurpose =
  | typeof userSearch
  | typeof userLookUp
  | typeof parentLookUp
  | typeof groupSearch;

export interface FoundEntries {
  readonly entries: readonly LdapEntry[];
  /** There are more entries than were asked for, or than the server gives. */
  readonly isCut: boolean;
  /** The base for which a server referred to another server, where users may be. */
  readonly referredAt?: string;
}

/**
 * Returns the entries that a search finds.
 *
 * A referral means no user at a login (the entry would be on a server that is not configured). For groups it
 * is an error of the server: the groups elsewhere would be missing. A base that does not exist is
 * an error of the server if the options name it: a replica that is being filled answers so.
 *
 * @param base a DN of the options for messages, and never one that was made from a typed name
 * @throws ServerError `answer` when the server can't answer, or lacks the base: another server may
 *   have it
 * @throws AuthenticatorError `failed` when only this search fails
 */
export async function searchEntries(
  connection: SearchConnection,
  request: SearchRequest,
  purpose: SearchPurpose,
  signal: AbortSignal,
  base: string = request.base,
): Promise<FoundEntries> {
  const answer = await connection.search(request, signal).catch((error: unknown) => {
    if (!(error instanceof ServerError) || error.kind !== 'too-large') throw error;
    // Users may write to their own entries and make them large: one of them must not open a server's circuit for all.
    const fix = 'look for an entry with a huge attribute, or name no such attribute in the options';
    throw loginError(`${purpose} found too much: ${error.message}`, fix, { cause: error });
  });
  const { entries, code, references = [] } = answer;
  switch (classifySearch(code)) {
    case 'ok':
      return references.some((url) => mayHaveUsers(url, base))
        ? { entries, isCut: false, referredAt: base }
        : { entries, isCut: false };
    case 'size-limit':
      return { entries, isCut: true };
    case 'not-found':
      if (purpose !== groupSearch) return { ...nothing, referredAt: base };
      throw missingBase(purpose, base, code);
    case 'no-such-object':
      if (purpose === userLookUp) return nothing;
      throw missingBase(purpose, base, code);
    case 'failed': {
      const fix =
        code === 3 || code === 11
          ? 'index the attributes of the filter, or raise the limits of the service account'
          : 'a value of this login does not suit the schema of the directory';
      throw loginError(`${purpose} ended in ${namedCode(code)}`, fix);
    }
    case 'server':
      throw new ServerError(
        'answer',
        'search',
        `${purpose} below "${base}" ended in ${namedCode(code)}`,
      );
  }
}

const nothing: FoundEntries = { entries: [], isCut: false };

const baseOptions: Readonly<Record<SearchPurpose, string>> = {
  [userSearch]: 'user.base',
  [userLookUp]: 'the parent in user.dnTemplate',
  [parentLookUp]: 'the parent in user.dnTemplate',
  [groupSearch]: 'groups.base',
};

function missingBase(purpose: SearchPurpose, base: string, code: number): ServerError {
  const option = baseOptions[purpose];
  const message =
    `${option} "${base}" does not exist, or the service account is not allowed to see it (${namedCode(code)}): ` +
    `correct ${option}, or let the account read it`;
  return new ServerError('answer', 'search', message);
}
