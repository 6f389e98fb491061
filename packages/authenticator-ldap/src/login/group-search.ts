import { AuthenticatorError } from '@sallyport/authenticator';
import type { SearchRequest } from '../connection/types.ts';
import type { SearchConnection } from '../directory/types.ts';
import type { NameTemplate } from '../filter/name-template.ts';
import type { Filter } from '../filter/types.ts';
import { groupOfEntry, nameAttributes } from './group-names.ts';
import { type Group, tooManyGroups } from './group-walk.ts';
import { type SearchPlace, searchEntries } from './search-entries.ts';

export interface GroupPlace {
  readonly bases: readonly string[];
  readonly scope: 'one' | 'sub';
  readonly name: NameTemplate;
  readonly maxGroups: number;
}

/**
 * All groups that a filter finds: one search for each base.
 *
 * @param filter undefined when nothing can match; the server is then not asked
 * @throws ServerFault, AuthenticatorError `failed` for whatever is not the whole answer
 */
export async function searchGroups(
  connection: SearchConnection,
  { bases, scope, name, maxGroups }: GroupPlace,
  filter: Filter | undefined,
  signal: AbortSignal,
): Promise<readonly Group[]> {
  if (filter === undefined) return [];
  const groups: Group[] = [];
  for (const base of bases) {
    // One more than allowed tells too many groups from a limit of the server.
    const request: SearchRequest = { base, scope, filter, attributes: nameAttributes(name), sizeLimit: maxGroups + 1 };
    const place: SearchPlace = { what: 'the search for groups', base };
    const { entries, isCut } = await searchEntries(connection, request, place, signal);
    if (entries.length > maxGroups) throw tooManyGroups(maxGroups);
    if (isCut) throw limitedByServer(entries.length);
    groups.push(...entries.map((entry) => groupOfEntry(entry, name)));
  }
  return groups;
}

function limitedByServer(count: number): AuthenticatorError {
  const mend = 'raise its size limit for the service account, or narrow groups.filter';
  return new AuthenticatorError('failed', `the server gave no more than ${count} of the user's groups: ${mend}`);
}
