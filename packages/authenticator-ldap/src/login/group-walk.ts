import { AuthenticatorError } from '@sallyport/authenticator';

/** A group that a user is in. */
export interface Group {
  /** As the server spells it: what tells groups apart, and what its own groups are searched for with. */
  readonly dn: string;
  readonly name: string;
}

export interface WalkBounds {
  /** Levels: 1 is the user's own groups. */
  readonly maxDepth: number;
  readonly maxGroups: number;
}

/**
 * Collects the groups that the user is in, and with `parentsOf` those that these are in, level by level: one call of
 * `parentsOf` a level, none for a group that was seen before, so cycles end.
 *
 * @param parentsOf left out: groups of groups do not count
 * @throws AuthenticatorError `failed` when a bound is passed: a part of the groups is no answer
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
  const mend = 'narrow groups.filter or groups.base, or raise groups.maxGroups';
  return new AuthenticatorError('failed', `the user is in more than ${maxGroups} groups: ${mend}`);
}

function tooDeep(maxDepth: number): AuthenticatorError {
  const mend = 'flatten the groups, or raise groups.maxDepth';
  return new AuthenticatorError('failed', `the user's groups are nested deeper than ${maxDepth} levels: ${mend}`);
}
