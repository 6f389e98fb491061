import { AuthenticatorError } from '@sallyport/authenticator';
import type { Entry, SearchRequest } from '../connection/types.ts';
import type { SearchConnection } from '../directory/types.ts';
import { type AttributeValue, firstRdn } from '../filter/distinguished-name.ts';
import type { Filter } from '../filter/filter.ts';
import type { NameTemplate } from '../filter/templates.ts';
import { entryDn, onlyText } from './entry-values.ts';
import { searchEntries } from './search-entries.ts';

/** A group that a user is in. */
export interface Group {
  /** As the server spells it. It identifies the group, and its own groups are searched for by it. */
  readonly dn: string;
  readonly name: string;
}

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
 * @throws ServerError, AuthenticatorError `failed` for whatever is not the whole answer
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
    // One more than allowed distinguishes too many groups from a limit of the server.
    const request: SearchRequest = { base, scope, filter, attributes: nameAttributes(name), sizeLimit: maxGroups + 1 };
    const place = { what: 'the search for groups', base } as const;
    const { entries, isCut } = await searchEntries(connection, request, place, signal);
    if (entries.length > maxGroups) throw tooManyGroups(maxGroups);
    if (isCut) throw limitedByServer(entries.length);
    groups.push(...entries.map((entry) => groupOfEntry(entry, name)));
  }
  return groups;
}

function limitedByServer(count: number): AuthenticatorError {
  const fix = 'raise its size limit for the service account, or narrow groups.filter';
  return new AuthenticatorError('failed', `the server gave no more than ${count} of the user's groups: ${fix}`);
}

/** The attributes that name groups, and never their members. */
function nameAttributes({ attributes }: NameTemplate): readonly string[] {
  const wanted = attributes.filter((attribute) => attribute !== 'dn');
  // RFC 4511 section 4.5.1.8: no attributes.
  return wanted.length === 0 ? ['1.1'] : wanted;
}

/**
 * A group by its entry. Every group that the search finds must have exactly one name: a group that is left out, or that
 * gets one of two names, would give the user other rights than the directory does.
 *
 * @throws AuthenticatorError `failed` naming the group and the fix
 */
function groupOfEntry(entry: Entry, template: NameTemplate): Group {
  const dn = entryDn(entry, 'a group');
  const name = template.fill((attribute) => (attribute === 'dn' ? dn : onlyText(entry, attribute)));
  if (name !== undefined) return { dn, name };
  const fix = 'correct groups.name, let the service account read it, or exclude such groups by groups.filter';
  const attributes = template.attributes.join(' or ');
  throw new AuthenticatorError('failed', `${attributes} of the group ${dn} is missing or empty: ${fix}`);
}

/**
 * A group by its DN alone, as `memberOf` gives it: its name comes from the first level.
 *
 * @returns undefined when the first level lacks the attributes of the name: then the entry is none of the groups that count
 * @throws AuthenticatorError `failed` when it has two values for one attribute
 */
export function groupOfDn(dn: string, template: NameTemplate): Group | undefined {
  const parts = firstRdn(dn) ?? [];
  const name = template.fill((attribute) => (attribute === 'dn' ? dn : partOf(dn, parts, attribute)));
  return name === undefined ? undefined : { dn, name };
}

function partOf(dn: string, parts: readonly AttributeValue[], attribute: string): string | undefined {
  const values = parts.filter((part) => part.attribute.toLowerCase() === attribute.toLowerCase());
  const entry = { dn, attributes: new Map([[attribute.toLowerCase(), values.map(({ value }) => value)]]) };
  return onlyText(entry, attribute);
}

export interface WalkBounds {
  /** Levels: 1 is the user's own groups. */
  readonly maxDepth: number;
  readonly maxGroups: number;
}

/**
 * Collects the groups that the user is in, and with `parentsOf` those that these are in, level by level. It calls
 * `parentsOf` once a level, and never for a group that was seen before, so cycles end.
 *
 * @param parentsOf left out: groups of groups do not count
 * @throws AuthenticatorError `failed` over a limit: a part of the groups is no answer
 */
export async function walkGroups(
  direct: readonly Group[],
  { maxDepth, maxGroups }: WalkBounds,
  parentsOf?: (groups: readonly Group[]) => Promise<readonly Group[]>,
): Promise<readonly Group[]> {
  const seen = new Map<string, Group>();
  let level = direct;
  for (let depth = 1; ; depth += 1) {
    const fresh: Group[] = [];
    for (const group of level) {
      if (seen.has(group.dn)) continue;
      seen.set(group.dn, group);
      fresh.push(group);
    }
    if (seen.size > maxGroups) throw tooManyGroups(maxGroups);
    if (fresh.length > 0 && depth > maxDepth) throw tooDeep(maxDepth);
    if (fresh.length === 0 || parentsOf === undefined) return [...seen.values()];
    level = await parentsOf(fresh);
  }
}

export function tooManyGroups(maxGroups: number): AuthenticatorError {
  const fix = 'narrow groups.filter or groups.base, or raise groups.maxGroups';
  return new AuthenticatorError('failed', `the user is in more than ${maxGroups} groups: ${fix}`);
}

function tooDeep(maxDepth: number): AuthenticatorError {
  const fix = 'flatten the groups, or raise groups.maxDepth';
  return new AuthenticatorError('failed', `the user's groups are nested deeper than ${maxDepth} levels: ${fix}`);
}
