import type { Search } from './connection/types.ts';
import { type Filter, filterText } from './filter/filter.ts';
import type { GroupOptions, LdapOptions, UserOptions } from './options/types.ts';

interface Place {
  readonly bases: readonly string[];
  readonly scope: 'one' | 'sub';
}

/**
 * Creates a check that the directory has an entry of a user who could log in, and of a group that could have a member: to a
 * directory, a wrong base or filter is not an error. It runs until it warns of nothing, since its searches may cost a large
 * directory much.
 *
 * @returns a warning for each of the two that is missing, and one if `user.lookUpFilter` finds no user
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
      user.find.by === 'search' && (await warningOfUsers(search, user.find)),
      groups?.by === 'search' && (await warningOfGroups(search, groups)),
    ];
    const warnings = checked.filter((result) => typeof result === 'string');
    isSettled = warnings.length === 0;
    return warnings;
  };
}

async function warningOfUsers(
  search: Search,
  find: Extract<UserOptions['find'], { by: 'search' }>,
): Promise<string | undefined> {
  const noUser = await findWarning(search, find, find.filter.presence, {
    effect: 'no one can log in',
    option: 'the filter of options.user',
    fix: describeFix('user', 'the first user'),
  });
  const presence = find.lookUpFilter?.presence;
  if (noUser !== undefined || presence === undefined) return noUser;
  const filter: Filter = { kind: 'and', filters: [presence, find.filter.anyValues] };
  return await findWarning(search, find, filter, {
    effect: 'no user of another authenticator is found',
    option: 'options.user.lookUpFilter with the filter of options.user',
    fix: describeFix('user', 'the first user'),
  });
}

async function warningOfGroups(
  search: Search,
  groups: Extract<GroupOptions, { by: 'search' }>,
): Promise<string | undefined> {
  const { presence } = groups.filter;
  const noGroup = await findWarning(search, groups, presence, {
    effect: 'no one has groups',
    option: 'the filter of options.groups',
    fix: describeFix('groups', 'the first group with a member'),
  });
  const attributes = groups.name.attributes.filter((name) => !/^(dn|cn)$/i.test(name));
  if (noGroup !== undefined || presence === undefined || attributes.length === 0) return noGroup;
  const present = attributes.map((attribute) => ({ kind: 'present', attribute }) as const);
  const filter: Filter = { kind: 'and', filters: [presence, ...present] };
  return await findWarning(search, groups, filter, {
    effect: 'no group has a name, and logins of its members fail',
    option: 'the filter of options.groups with the attributes of options.groups.name',
    fix: 'Correct options.groups.name, or let the service account read its attributes',
  });
}

/** @returns undefined if an entry was found, and also if the server did not say, such as at a limit */
async function findWarning(
  search: Search,
  { bases, scope }: Place,
  presence: Filter | undefined,
  { effect, option, fix }: Readonly<Record<'effect' | 'option' | 'fix', string>>,
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
    const result = await search(request).catch(() => undefined);
    if (result?.code !== 0 || result.entries.length > 0) return undefined;
  }
  const below = `${scope === 'one' ? 'directly ' : ''}below ${bases.map((base) => `"${base}"`).join(' or ')}`;
  return `${effect}: no entry ${below} matches ${filterText(presence)}, ${option} for any value. ${fix}`;
}

function describeFix(section: 'user' | 'groups', firstEntry: string): string {
  return `Correct the base or the filter in options.${section}, let the service account see the entries, or create ${firstEntry}`;
}
