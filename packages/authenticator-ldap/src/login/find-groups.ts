import { oneLine } from '@sallyport/plugin-kit';
import type { LdapEntry, SearchRequest } from '../connection/types.ts';
import type { DirectoryCall, LdapDirectory, SearchConnection } from '../directory/types.ts';
import { firstRdn, isBelow } from '../filter/distinguished-name.ts';
import type { Filter } from '../filter/filter.ts';
import type { FilterTemplate } from '../filter/filter-template.ts';
import type { NameTemplate } from '../filter/templates.ts';
import { loginError } from '../login-error.ts';
import type { GroupOptions } from '../options/types.ts';
import { entryDn, onlyText, readTexts, readValues } from './entry-values.ts';
import type { DirectoryUser } from './find-user.ts';
import { groupSearch, searchEntries } from './find-user.ts';

/** Returns the names of all groups of a user, sorted. @throws AuthenticatorError `failed` if some may be missing */
export async function findGroups(
  directory: LdapDirectory,
  options: GroupOptions,
  user: DirectoryUser,
  call: DirectoryCall,
): Promise<readonly string[]> {
  const groups =
    options.by === 'attribute' && options.nested === undefined
      ? await walkGroups(groupsOfAttribute(options, user), options)
      : (
          await directory.withService(
            (connection) => searchLevels(connection, options, user, call.signal),
            call,
          )
        ).value;
  return [...new Set(groups.map(({ name }) => name))].sort();
}

export function groupAttributes(options: GroupOptions | undefined): readonly string[] {
  if (options === undefined) return [];
  if (options.by === 'attribute') return [options.attribute];
  return [...options.filter.placeholders].flatMap(
    (placeholder) => readAttribute(placeholder) ?? [],
  );
}

/**
 * The limit in bytes for an answer with the user's entry: one MiB, and one KiB more for each group
 * that it may contain.
 */
export function userAnswerBytes(options: GroupOptions | undefined): number {
  const groups = options?.by === 'attribute' ? options.maxGroups : 0;
  return Math.min(16 * 1024, 1024 + groups) * 1024;
}

/** Searches all levels on one connection, so that they show one state of one server. */
async function searchLevels(
  connection: SearchConnection,
  options: GroupOptions,
  user: DirectoryUser,
  signal: AbortSignal,
): Promise<readonly Group[]> {
  const { nested } = options;
  const direct =
    options.by === 'search'
      ? await searchGroups(connection, options, userFilter(options, user), signal)
      : groupsOfAttribute(options, user);
  const parentsOf =
    nested &&
    ((groups: readonly Group[]) =>
      searchGroups(
        connection,
        { ...options, ...nested },
        parentsFilter(nested.filter, groups),
        signal,
      ));
  return await walkGroups(direct, options, parentsOf);
}

export function userFilter(
  { filter }: Extract<GroupOptions, { by: 'search' }>,
  { dn, username, entry }: DirectoryUser,
): Filter | undefined {
  return filter.fill((placeholder) => {
    if (placeholder === 'dn') return [dn];
    if (placeholder === 'username') return [username];
    const attribute = readAttribute(placeholder);
    return attribute === undefined ? [] : readValues(entry, attribute);
  });
}

function readAttribute(placeholder: string): string | undefined {
  return /^attribute:(.+)$/s.exec(placeholder)?.[1];
}

/** Makes the filter for the groups that a whole level is in. Of a group, a filter can use the DN and nothing else. */
function parentsFilter(template: FilterTemplate, groups: readonly Group[]): Filter | undefined {
  const filters = groups.flatMap(
    ({ dn }) => template.fill((placeholder) => (placeholder === 'dn' ? [dn] : [])) ?? [],
  );
  return filters.length > 1 ? { kind: 'or', filters } : filters[0];
}

function groupsOfAttribute(
  { attribute, bases, name, maxGroups }: Extract<GroupOptions, { by: 'attribute' }>,
  { entry }: DirectoryUser,
): readonly Group[] {
  const groups: Group[] = [];
  for (const dn of readTexts(entry, attribute)) {
    // A text that is not a DN would be below no base, and so be ignored.
    if (firstRdn(dn) === undefined) {
      throw loginError(`a value of the user's ${attribute} is not a DN: "${oneLine(dn)}"`);
    }
    const isOurs = bases.length === 0 || bases.some((base) => isBelow(dn, base));
    const group = isOurs ? groupOfDn(dn, name) : undefined;
    if (group !== undefined) groups.push(group);
    // Checked here already: reading DNs blocks the event loop, for seconds with 100,000 of them.
    if (groups.length > maxGroups) throw tooManyGroups(maxGroups);
  }
  return groups;
}

export interface Group {
  /** As the server spells it. It identifies the group, and its own groups are searched for by it. */
  readonly dn: string;
  readonly name: string;
}

type GroupPlace = Pick<GroupOptions, 'bases' | 'name' | 'maxGroups'> & {
  readonly scope: 'one' | 'sub';
};

/** Searches all groups that a filter finds. @throws AuthenticatorError `failed` if the answer is not whole */
async function searchGroups(
  connection: SearchConnection,
  { bases, scope, name, maxGroups }: GroupPlace,
  filter: Filter | undefined,
  signal: AbortSignal,
): Promise<readonly Group[]> {
  if (filter === undefined) return [];
  const groups: Group[] = [];
  // Only their names are read, and never their members. `1.1` asks for no attribute (RFC 4511 section 4.5.1.8).
  const named = name.attributes.filter((attribute) => attribute !== 'dn');
  const attributes = named.length === 0 ? ['1.1'] : named;
  for (const base of bases) {
    // One more group than allowed distinguishes too many groups from a limit of the server.
    const request: SearchRequest = { base, scope, filter, attributes, sizeLimit: maxGroups + 1 };
    const { entries, isCut } = await searchEntries(connection, request, groupSearch, signal);
    if (entries.length > maxGroups) throw tooManyGroups(maxGroups);
    if (isCut) {
      throw loginError(
        `the server gave no more than ${entries.length} of the user's groups`,
        'raise its size limit for the service account, or narrow groups.filter',
      );
    }
    groups.push(...entries.map((entry) => groupOfEntry(entry, name)));
  }
  return groups;
}

/**
 * Reads a group from its entry. Every group that the search finds must have exactly one name: a
 * missing group, or one with one of two names, would give the user other rights than the directory
 * does.
 */
function groupOfEntry(entry: LdapEntry, template: NameTemplate): Group {
  const dn = entryDn(entry, 'a group');
  const name = template.fill((attribute) => (attribute === 'dn' ? dn : onlyText(entry, attribute)));
  if (name !== undefined) return { dn, name };
  throw loginError(
    `${template.attributes.join(' or ')} of the group ${dn} is missing or empty`,
    'correct groups.name, let the service account read it, or exclude such groups by groups.filter',
  );
}

/**
 * Reads a group from its DN alone, as `memberOf` gives it: its name comes from the first level.
 *
 * @returns undefined when the first level lacks the attributes of the name: then the entry does not count as a group
 * @throws AuthenticatorError `failed` when it has two values for one attribute
 */
function groupOfDn(dn: string, template: NameTemplate): Group | undefined {
  const rdn = firstRdn(dn) ?? [];
  const name = template.fill((attribute) => {
    const key = attribute.toLowerCase();
    const values = rdn
      .filter((attributeValue) => attributeValue.attribute.toLowerCase() === key)
      .map(({ value }) => value);
    return attribute === 'dn'
      ? dn
      : onlyText({ dn, attributes: new Map([[key, values]]) }, attribute);
  });
  return name === undefined ? undefined : { dn, name };
}

/**
 * Collects the groups that the user is in, and with `parentsOf` the groups that these are in, level by level. It calls
 * `parentsOf` once for each level, and never for a group that was seen before, so cycles end.
 *
 * @throws AuthenticatorError `failed` over a limit: a part of the groups is no answer
 */
export async function walkGroups(
  direct: readonly Group[],
  { maxDepth, maxGroups }: Pick<GroupOptions, 'maxDepth' | 'maxGroups'>,
  parentsOf?: (groups: readonly Group[]) => Promise<readonly Group[]>,
): Promise<readonly Group[]> {
  const groupsByDn = new Map<string, Group>();
  let level = direct;
  for (let depth = 1; ; depth += 1) {
    const fresh: Group[] = [];
    for (const group of level) {
      if (groupsByDn.has(group.dn)) continue;
      groupsByDn.set(group.dn, group);
      fresh.push(group);
    }
    if (groupsByDn.size > maxGroups) throw tooManyGroups(maxGroups);
    if (fresh.length > 0 && depth > maxDepth) {
      throw loginError(
        `the user's groups are nested deeper than ${maxDepth} levels`,
        'flatten the groups, or raise groups.maxDepth',
      );
    }
    if (fresh.length === 0 || parentsOf === undefined) return [...groupsByDn.values()];
    level = await parentsOf(fresh);
  }
}

function tooManyGroups(maxGroups: number) {
  return loginError(
    `the user is in more than ${maxGroups} groups`,
    'narrow groups.filter or groups.base, or raise groups.maxGroups',
  );
}
