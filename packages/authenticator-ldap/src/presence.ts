import type { SearchRequest, SearchResult } from './connection/types.ts';
import { filterText } from './filter/filter.ts';
import type { FilterTemplate } from './filter/filter-template.ts';
import type { LdapOptions } from './options/types.ts';

type Search = (request: SearchRequest) => Promise<SearchResult>;

interface Place {
  readonly bases: readonly string[];
  readonly scope: 'one' | 'sub';
  readonly filter: FilterTemplate;
}

/**
 * Creates a look for anyone who could log in, and for any group that someone could be in: a wrong base or filter is no error to a
 * directory. It looks until entries were found or the server did not say, since the search may cost a large directory much.
 *
 * @returns a warning for each of the two that the directory does not have
 */
export function createPresenceCheck({
  user,
  groups,
}: LdapOptions): (search: Search) => Promise<readonly string[]> {
  let isSettled = false;
  return async (search) => {
    if (isSettled) return [];
    isSettled = true;
    const warnings: string[] = [];
    if (user.find.by === 'search' && (await isEmpty(search, user.find))) {
      warnings.push(warning('user', user.find, 'no one can log in', 'the first user'));
    }
    if (groups?.by === 'search' && (await isEmpty(search, groups))) {
      warnings.push(
        warning('groups', groups, 'no one has groups', 'the first group with a member'),
      );
    }
    isSettled = warnings.length === 0;
    return warnings;
  };
}

/** @returns false if an entry was found, and also if the server did not say, such as at a limit */
async function isEmpty(
  search: Search,
  { bases, scope, filter: { presence } }: Place,
): Promise<boolean> {
  if (presence === undefined) return false;
  for (const base of bases) {
    const request = {
      base,
      scope,
      filter: presence,
      attributes: ['1.1'],
      sizeLimit: 1,
      timeLimit: 1,
    } as const;
    const found = await search(request).catch(() => undefined);
    if (found?.code !== 0 || found.entries.length > 0) return false;
  }
  return true;
}

function warning(
  section: 'user' | 'groups',
  { bases, scope, filter: { presence } }: Place,
  effect: string,
  first: string,
): string {
  const below = `${scope === 'one' ? 'directly ' : ''}below ${bases.map((base) => `"${base}"`).join(' or ')}`;
  const filter = presence === undefined ? '' : filterText(presence);
  const fix = `Correct the base or the filter in options.${section}, let the service account see the entries, or create ${first}`;
  return `${effect}: no entry ${below} matches ${filter}, the filter of options.${section} for any value. ${fix}`;
}
