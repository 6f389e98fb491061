import { subjectOf } from './list.ts';
import type { Listing } from './listing.ts';
import type { Entry } from './types.ts';

/** An entry that has no place in the list yet. */
export type Draft = Pick<Entry, 'action' | 'kind' | 'name' | 'by' | 'reason' | 'until'>;

export interface Placed {
  readonly entry: Omit<Entry, 'id'>;
  /** What the list has besides it from then on. */
  readonly others: readonly Entry[];
}

/** Milliseconds that every entry is remembered at least: a replica that was cut off meanwhile may hold what it overruled. */
const leastKept = 3_600_000;

/** Bytes of one entry: what is longer would not be read. */
const largestEntry = 4_096;

/** Every replica holds all of them, and looks at the users' on each review. */
const mostEntries = 10_000;

/** Of several about the same, the newest; the newest of all comes last. */
export function currentEntries(entries: readonly Entry[]): readonly Entry[] {
  const sorted = [...entries].sort((one, other) => one.revision - other.revision);
  return [...new Map(sorted.map((entry) => [subjectOf(entry), entry])).values()].sort(
    (one, other) => one.revision - other.revision,
  );
}

/** Those that are blocked now, the newest first. */
export function blocksIn({ entries, now }: Pick<Listing, 'entries' | 'now'>): readonly Entry[] {
  const inForce = currentEntries(entries).filter(({ action, until }) => action === 'block' && until > now);
  return inForce.sort((one, other) => other.at - one.at || other.revision - one.revision);
}

/**
 * Puts an entry last. What it overrules is dropped, and so is what has ended: the one that holds the highest revision is
 * the new one.
 *
 * @throws Error when the list is full
 */
export function placeEntry(draft: Draft, { entries, now }: Pick<Listing, 'entries' | 'now'>): Placed {
  const highest = entries.reduce((most, { revision }) => Math.max(most, revision), 0);
  // Redis' time as well: a list that was lost is begun above all that stood in it.
  const about = currentEntries(entries).filter((one) => subjectOf(one) === subjectOf(draft));
  const keptUntil = Math.max(draft.until, now + leastKept, ...about.map((one) => one.keptUntil));
  const entry = { ...draft, revision: Math.max(highest + 1, now), at: now, keptUntil };
  if (Buffer.byteLength(JSON.stringify(entry)) > largestEntry) {
    throw new Error(`the name, --reason and --by are too long together: at most ${largestEntry} bytes`);
  }
  const others = currentEntries(entries).filter((one) => one.keptUntil > now && subjectOf(one) !== subjectOf(entry));
  if (others.length >= mostEntries) {
    throw new Error(
      `the revocation list is full: it has ${others.length} entries in force, the most that it takes. ` +
        'Block a group instead of its users, or end a block; the command "blocks" lists them',
    );
  }
  return { entry, others };
}

/** What became of an entry. `lost`: it is not there any more, and nobody has overruled it since it was made. */
export type Fate = 'kept' | 'lost' | { readonly overruledBy: Entry };

/** A replica that knew more than Redis puts an entry in its place with another id and a higher revision. */
export function fateOf(entry: Entry, entries: readonly Entry[]): Fate {
  const current = currentEntries(entries).find((one) => subjectOf(one) === subjectOf(entry));
  if (current === undefined || current.revision < entry.revision) return 'lost';
  if (current.id === entry.id) return 'kept';
  // Another one, which does the same for no shorter: a replica that knew more has put it in its place, or somebody else.
  if (current.action === entry.action && current.until >= entry.until) return 'kept';
  // An older one that a replica has brought back, with a revision from a time when Redis' clock was ahead.
  return current.at < entry.at ? 'lost' : { overruledBy: current };
}
