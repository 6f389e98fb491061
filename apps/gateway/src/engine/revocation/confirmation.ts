import { setTimeout } from 'node:timers/promises';
import { FixableError } from '../../config/problems.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { currentEntries, digestOfList, type Entry, isOfFactor, subjectOf } from './list.ts';
import { type Draft, publish } from './publish.ts';
import { type Listing, readListing } from './redis-list.ts';
import { countsFor, forgetReplicas, type KnownReplica, readReplicas } from './replicas.ts';

export interface Publication extends Omit<Awaited<ReturnType<typeof publish>>, 'revision'> {
  readonly confirmation: Confirmation;
  /** The entry by which someone else has replaced it since. */
  readonly supersededBy?: Entry;
  /** The list has entries of a kind that older gateways can't read: while they are there, it confirms nothing. */
  readonly hasNewKinds: boolean;
}

/** The maximum number of rounds. A Redis that fails over or is flushed loses the entry; more losses have another cause. */
const maxRounds = 3;

/**
 * Puts an entry into the list, waits until all replicas have it, and makes sure that Redis still has it.
 *
 * @param wait how long to wait for the replicas in each round, in milliseconds
 * @param signal ends the wait early
 * @throws RedisProblem, Error when it can't be done, and what `draft` throws
 */
export async function publishAndConfirm(
  redis: ProbedRedis,
  draft: (listing: Listing) => Draft,
  { wait, signal }: { readonly wait: number; readonly signal: AbortSignal },
): Promise<Publication> {
  let next = draft;
  for (let round = 0; round < maxRounds; round++) {
    const published = await publish(redis, next);
    const { entry } = published;
    const confirmation = await waitForConfirmation(redis, entry, performance.now() + wait, signal);
    const { entries } = await readListing(redis);
    const state = stateOfEntry(entry, entries);
    if (state !== 'lost') {
      const hasNewKinds = entries.some(isNewKind);
      return { ...published, confirmation, hasNewKinds, ...(state !== 'present' && state) };
    }
    const { id, ...again } = entry;
    next = () => again;
  }
  throw new FixableError(
    `Redis lost the entry ${maxRounds} times in a row, each time shortly after it was written`,
    'fix Redis, and run the command again',
  );
}

/** Whether gateways of an older version can't read an entry. */
function isNewKind(entry: Entry): boolean {
  return entry.kind === 'jti' || entry.kind === 'sid' || isOfFactor(entry);
}

/** The state of a published entry. `lost`: it is gone, and nothing has superseded it. */
export type EntryState = 'present' | 'lost' | { readonly supersededBy: Entry };

/**
 * Finds the state of an entry. A replica that knew more than Redis replaces an entry by one with another id and a higher
 * revision.
 */
export function stateOfEntry(entry: Entry, entries: readonly Entry[]): EntryState {
  const current = currentEntries(entries).find((one) => subjectOf(one) === subjectOf(entry));
  if (current === undefined || current.revision < entry.revision) return 'lost';
  if (current.id === entry.id) return 'present';
  // Another entry does the same for at least as long: it is from a replica that knew more, or from someone else.
  if (current.action === entry.action && current.until >= entry.until) return 'present';
  // An older entry may come back from a replica, with a revision from a time when Redis' clock was ahead.
  return current.at < entry.at ? 'lost' : { supersededBy: current };
}

/**
 * Why a replica has not confirmed. `behind`: it reports, and has not merged the entry. `silent`: it is cut off, hanging,
 * or stopped. `other keys`: what it reports can't be opened here.
 */
type Absence = 'behind' | 'silent' | 'other keys';

export type Confirmation = Readonly<ReturnType<typeof confirmationOf>>;

/** A replica that reported within this time is healthy. Milliseconds. */
const aliveFor = 5_000;
/** A replica that reported within this time is remembered. Milliseconds. */
const rememberedFor = 3_600_000;

/** The time between two looks at the replicas. Milliseconds. */
const confirmInterval = 100;

/** Waits until every replica has the entry, or the entry is not in the list any more. @throws RedisProblem */
async function waitForConfirmation(
  redis: ProbedRedis,
  entry: Entry,
  end: number,
  signal: AbortSignal,
) {
  // A replica reports the digest of its list: it has the entry when that list has it. Other commands, and replicas that find
  // something missing, may change the list during the wait.
  const states = new Map<string, EntryState>();
  let revision: string | undefined;
  let state: EntryState = 'present';
  for (;;) {
    const seen = await readReplicas(redis);
    if (revision !== seen.revision) {
      const listing = await readListing(redis);
      revision = listing.revision;
      state = stateOfEntry(entry, listing.entries);
      states.set(digestOfList(listing.entries), state);
    }
    const confirmation = confirmationOf(seen, (applied) => states.get(applied) === 'present');
    const isOver = performance.now() >= end || signal.aborted || state !== 'present';
    if (confirmation.unconfirmed.length === 0 || isOver) {
      const old = seen.replicas
        .filter(({ heardAt }) => seen.now - heardAt > rememberedFor)
        .map(({ id }) => id);
      // Nothing depends on this: the next command repeats it.
      if (old.length > 0) await forgetReplicas(redis, old).catch(() => undefined);
      return confirmation;
    }
    await setTimeout(confirmInterval, undefined, { signal }).catch(() => undefined);
  }
}

/** Sorts replicas by whether they have an entry. @param hasEntry says whether the list with a digest has the entry */
export function confirmationOf(
  { now, replicas }: { readonly now: number; readonly replicas: readonly KnownReplica[] },
  hasEntry: (digest: string) => boolean,
) {
  const confirmed: string[] = [];
  const unconfirmed: { id: string; heardAt: number; absence: Absence }[] = [];
  /** Replicas that were silent for so long that they do not count. */
  const gone: { id: string; heardAt: number }[] = [];
  for (const { id, heardAt, applied } of replicas.toSorted((one, other) =>
    one.id < other.id ? -1 : 1,
  )) {
    const silence = now - heardAt;
    if (silence > rememberedFor) continue;
    if (silence > countsFor) gone.push({ id, heardAt });
    else if (applied !== undefined && hasEntry(applied)) confirmed.push(id);
    else {
      const absence =
        silence > aliveFor ? 'silent' : applied === undefined ? 'other keys' : 'behind';
      unconfirmed.push({ id, heardAt, absence });
    }
  }
  return { now, confirmed, unconfirmed, gone };
}
