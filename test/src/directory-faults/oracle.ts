/** Decides which answers about a user of a directory are right, from what the directory contained at each time. */

/** What the directory says about a user, from the begin of the change that made it to the end of the next change. Milliseconds. */
export interface Version {
  readonly groups: ReadonlySet<string>;
  readonly isLocked: boolean;
  readonly begin: number;
  /** Infinity for the last one. */
  end: number;
}

/** The answer to a review: the groups of a user who was let in, or why none was. */
export type Answer = readonly string[] | 'refused' | 'error';

export interface Review {
  readonly answer: Answer;
  readonly begin: number;
  readonly end: number;
}

/** Milliseconds. */
export interface Lifetimes {
  /** How long an answer of the directory is used before the directory is asked again. */
  readonly refresh: number;
  /** How much longer it is used while the directory is away. */
  readonly staleTtl: number;
  /** The limit of one lookup: an answer is as old as the search that it comes from, and counts from its end. */
  readonly lookup: number;
}

/**
 * Says what is wrong with an answer. A user is let in with groups that they had together at some moment of the window in which a
 * cached answer counts, and refused if they were locked at some moment of the shorter one of refusals.
 *
 * @param versions in their order
 * @returns undefined if nothing is wrong
 */
export function problemOf(
  { answer, begin, end }: Review,
  versions: readonly Version[],
  { refresh, staleTtl, lookup }: Lifetimes,
): string | undefined {
  if (answer === 'error') return undefined;
  const within = (window: number) =>
    versions.filter((one) => one.end >= begin - window - lookup && one.begin <= end);
  if (answer === 'refused')
    return within(refresh).some((one) => one.isLocked) ? undefined : 'refused, but never locked';
  const usable = within(refresh + staleTtl);
  if (usable.every((one) => one.isLocked)) return 'let in, but locked all the time';
  if (usable.some((one) => isSame(one.groups, answer))) return undefined;
  const was = versions.some((one) => isSame(one.groups, answer)) ? 'too long ago' : 'never';
  return `let in with ${answer.length} groups, which they had together ${was}`;
}

/** Whether an answer is older than `refresh` allows, so that it was used because the directory was away. */
export function isStale(
  { answer, begin, end }: Review,
  versions: readonly Version[],
  { refresh, lookup }: Lifetimes,
): boolean {
  if (typeof answer === 'string') return false;
  const fresh = versions.filter((one) => one.end >= begin - refresh - lookup && one.begin <= end);
  return !fresh.some((one) => !one.isLocked && isSame(one.groups, answer));
}

/** Whether two lists have the same groups, in any order. */
export const isSame = (groups: ReadonlySet<string>, answer: readonly string[]): boolean =>
  groups.size === answer.length && answer.every((one) => groups.has(one));
