import type { Search } from './connection/types.ts';
import { filterText } from './filter/filter.ts';
import type { FilterTemplate } from './filter/filter-template.ts';
import type { LdapOptions } from './options/types.ts';

interface Place {
  readonly bases: readonly string[];
  readonly scope: 'one' | 'sub';
  readonly filter: FilterTemplate;
}

/**
 * Creates a check that the directory has an entry of a user who could log in, and of a group that could have a member: to a
 * directory, a wrong base or filter is not an error. It runs until it warns of nothing, since its searches may cost a large
 * directory much.
 *
 * @returns a warning for each of the two that is missing
 */
export function createPresenceCheck({
  user,
  groups,
}: LdapOptions): (search: Search) => Promise<readonly string[]> {
  let isSettled = false;
  return async (search) => {
    if (isSettled) return [];
    isSettled = true;
    const checked = [
      user.find.by === 'search' &&
        (await warningOf(search, 'user', user.find, 'no one can log in', 'the first user')),
      groups?.by === 'search' &&
        (await warningOf(
          search,
          'groups',
          groups,
          'no one has groups',
          'the first group with a member',
        )),
    ];
    const warnings = checked.filter((one) => typeof one === 'string');
    isSettled = warnings.length === 0;
    return warnings;
  };
}

/** @returns undefined if an entry was found, and also if the server did not say, such as at a limit */
async function warningOf(
  search: Search,
  section: 'user' | 'groups',
  { bases, scope, filter: { presence } }: Place,
  effect: string,
  first: string,
): Promise<string | undefined> {
  if (presence === undefined) return undefined;
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
    if (found?.code !== 0 || found.entries.length > 0) return undefined;
  }
  const below = `${scope === 'one' ? 'directly ' : ''}below ${bases.map((base) => `"${base}"`).join(' or ')}`;
  const fix = `Correct the base or the filter in options.${section}, let the service account see the entries, or create ${first}`;
  return `${effect}: no entry ${below} matches ${filterText(presence)}, the filter of options.${section} for any value. ${fix}`;
}
