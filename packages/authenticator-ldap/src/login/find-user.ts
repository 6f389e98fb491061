import { AuthenticatorError } from '@sallyport/authenticator';
import type { Entry } from '../connection/types.ts';
import type { Answered, Directory, DirectoryCall, SearchConnection } from '../directory/types.ts';
import { anyEntry } from '../filter/any-entry.ts';
import type { UserOptions } from '../options/types.ts';
import { type FoundEntries, searchEntries } from './search-entries.ts';
import { type DirectoryUser, readUser, userAttributes } from './user-entry.ts';

export type Finding =
  | { readonly kind: 'found'; readonly user: DirectoryUser }
  | { readonly kind: 'none' }
  /** `entries` are the DNs of those that were seen. */
  | { readonly kind: 'ambiguous'; readonly entries: readonly string[] }
  /** Something is there, but the login can't go on with it. `error` is `failed`. */
  | { readonly kind: 'unusable'; readonly error: AuthenticatorError };

export interface UserSearch {
  readonly username: string;
  readonly options: UserOptions;
  /** Besides those that make the user: what the search for groups needs of the entry. */
  readonly moreAttributes: readonly string[];
  /** Of the entry as the server sends it. A name is enough to have an entry read, and reading takes the time of all. */
  readonly maxBytes: number;
}

/**
 * Finds the one entry that a typed name stands for. The server does the same for every name: one search for each base,
 * always all of them.
 *
 * @throws AuthenticatorError as `Directory.withService`
 */
export async function findUser(
  directory: Directory,
  search: UserSearch,
  call: DirectoryCall,
): Promise<Answered<Finding>> {
  const { options, moreAttributes } = search;
  const attributes = distinct([...userAttributes(options.attributes), ...moreAttributes]);
  return await directory.withService(async (connection) => {
    try {
      const { entries, isCut } = await findEntries(connection, search, attributes, call.signal);
      const [entry, ...others] = distinctEntries(entries);
      if (isCut || others.length > 0) return { kind: 'ambiguous', entries: entries.map(({ dn = '' }) => dn) };
      return entry === undefined ? { kind: 'none' } : { kind: 'found', user: readUser(entry, options.attributes) };
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
  { username, options: { find }, maxBytes }: UserSearch,
  attributes: readonly string[],
  signal: AbortSignal,
): Promise<FoundEntries> {
  if (find.by === 'dn') {
    const { template } = find;
    const request = {
      base: template.fill(username),
      scope: 'base',
      filter: anyEntry,
      attributes,
      sizeLimit: 2,
      maxBytes,
    } as const;
    const place = { what: 'the look at a user (user.dnTemplate)', base: template.parent } as const;
    return await searchEntries(connection, request, place, signal);
  }
  const filter = find.filter.fill((placeholder) => (placeholder === 'username' ? [username] : []));
  if (filter === undefined) return { entries: [], isCut: false };
  const entries: Entry[] = [];
  let isCut = false;
  for (const base of find.bases) {
    const request = { base, scope: find.scope, filter, attributes, sizeLimit: 2, maxBytes };
    const found = await searchEntries(connection, request, { what: 'the search for a user', base }, signal);
    entries.push(...found.entries);
    isCut ||= found.isCut;
  }
  return { entries, isCut };
}

/** The same entry found through two bases that overlap is one. Other spellings of its DN would be another server's. */
function distinctEntries(entries: readonly Entry[]): readonly Entry[] {
  return entries.filter(({ dn }, index) => dn === undefined || entries.findIndex((other) => other.dn === dn) === index);
}

/** Names of attributes are the same in any case. */
function distinct(attributes: readonly string[]): readonly string[] {
  return [...new Map(attributes.map((attribute) => [attribute.toLowerCase(), attribute])).values()];
}
