import { AuthenticatorError } from '@sallyport/authenticator';
import { oneLine } from '@sallyport/plugin-options';
import type { Directory, DirectoryCall, SearchConnection } from '../directory/types.ts';
import { firstRdn, isBelow } from '../filter/distinguished-name.ts';
import type { Filter } from '../filter/filter.ts';
import type { FilterTemplate } from '../filter/filter-template.ts';
import type { GroupOptions } from '../options/types.ts';
import { textsOf, valuesOf } from './entry-values.ts';
import type { DirectoryUser } from './find-user.ts';
import { type Group, groupOfDn, searchGroups, tooManyGroups, walkGroups } from './group-search.ts';

/**
 * The names of all groups of a user, each once, in the order of their code units, so that caches compare equal lists.
 *
 * @throws AuthenticatorError `failed` whenever they may not be all of them, or as `Directory.withService`
 */
export async function findGroups(
  directory: Directory,
  options: GroupOptions,
  user: DirectoryUser,
  call: DirectoryCall,
): Promise<readonly string[]> {
  const groups =
    options.by === 'attribute' && options.nested === undefined
      ? await walkGroups(groupsOfAttribute(options, user), options)
      : (await directory.withService((connection) => searched(connection, options, user, call.signal), call)).value;
  return [...new Set(groups.map(({ name }) => name))].sort();
}

/** The attributes of the user that the search for groups needs. */
export function groupAttributes(options: GroupOptions | undefined): readonly string[] {
  if (options === undefined) return [];
  if (options.by === 'attribute') return [options.attribute];
  return [...options.filter.placeholders].flatMap((placeholder) => attributeWithin(placeholder) ?? []);
}

/** The limit in bytes for an answer with the user's entry: one MiB, and one KiB more for each group that it may hold. */
export function userAnswerBytes(options: GroupOptions | undefined): number {
  const groups = options?.by === 'attribute' ? options.maxGroups : 0;
  return Math.min(16 * 1024, 1024 + groups) * 1024;
}

/** All levels are searched on one connection, so that they show one state of one server. */
async function searched(
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
      searchGroups(connection, { ...options, ...nested }, parentsFilter(nested.filter, groups), signal));
  return await walkGroups(direct, options, parentsOf);
}

/** The filter for the user's own groups; undefined when nothing can match. */
export function userFilter(
  { filter }: Extract<GroupOptions, { by: 'search' }>,
  user: DirectoryUser,
): Filter | undefined {
  return filter.fill((placeholder) => valuesFor(placeholder, user));
}

function valuesFor(placeholder: string, { dn, username, entry }: DirectoryUser): readonly (string | Buffer)[] {
  if (placeholder === 'dn') return [dn];
  if (placeholder === 'username') return [username];
  const attribute = attributeWithin(placeholder);
  return attribute === undefined ? [] : valuesOf(entry, attribute);
}

function attributeWithin(placeholder: string): string | undefined {
  return /^attribute:(.+)$/s.exec(placeholder)?.[1];
}

/** The filter for the groups that a whole level is in. A group has a DN and nothing else that a filter could use. */
function parentsFilter(template: FilterTemplate, groups: readonly Group[]): Filter | undefined {
  const filters = groups.flatMap(({ dn }) => template.fill((placeholder) => (placeholder === 'dn' ? [dn] : [])) ?? []);
  return filters.length > 1 ? { kind: 'or', filters } : filters[0];
}

type AttributeOptions = Extract<GroupOptions, { by: 'attribute' }>;

function groupsOfAttribute(
  { attribute, bases, name, maxGroups }: AttributeOptions,
  { entry }: DirectoryUser,
): readonly Group[] {
  const groups: Group[] = [];
  for (const dn of textsOf(entry, attribute)) {
    requireDn(dn, attribute);
    const isOurs = bases.length === 0 || bases.some((base) => isBelow(dn, base));
    const group = isOurs ? groupOfDn(dn, name) : undefined;
    if (group !== undefined) groups.push(group);
    // Checked here already: reading DNs blocks the event loop, for seconds with 100,000 of them.
    if (groups.length > maxGroups) throw tooManyGroups(maxGroups);
  }
  return groups;
}

/** A value that can't be read would be below no base, and so be left out. */
function requireDn(text: string, attribute: string): void {
  if (firstRdn(text) !== undefined) return;
  throw new AuthenticatorError('failed', `a value of the user's ${attribute} is no DN: "${oneLine(text)}"`);
}
