import { setTimeout } from 'node:timers/promises';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { currentEntries, digestOfList, type Entry, subjectOf } from './list.ts';
import { type Draft, publish } from './publish.ts';
import { type Listing, readListing } from './redis-list.ts';
import { countsFor, forgetReplicas, type KnownReplica, readReplicas } from './replicas.ts';

export interface Publication extends Omit<Awaited<ReturnType<typeof publish>>, 'revision'> {
  readonly confirmation: Confirmation;
  /** The entry that someone else has put in its place since. */
  readonly supersededBy?: Entry;
  /** The list has entries of a kind that version 0.1.0 can't read: while they are there, it confirms nothing. */
  readonly hasNewKinds: boolean;
}

/** A Redis that fails over or is flushed in between loses the entry. More often than this it has another problem. */
const maxRounds = 3;

/**
 * Puts an entry into the list, and waits until all replicas have it and it has stayed.
 *
 * @param wait milliseconds to wait for the replicas, in each round
 * @param signal ends the wait before its time
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
      const hasNewKinds = entries.some((one) => one.kind === 'jti' || one.kind === 'sid');
      return { ...published, confirmation, hasNewKinds, ...(state !== 'present' && state) };
    }
    const { id, ...again } = entry;
    next = () => again;
  }
  throw new Error(
    `Redis lost the entry ${maxRounds} times in a row, each time shortly after it was written. Fix Redis, and run the command again`,
  );
}

/** What became of an entry. `lost`: it is gone, and no one has superseded it since it was made. */
export type EntryState = 'present' | 'lost' | { readonly supersededBy: Entry };

/** A replica that knew more than Redis puts an entry in its place with another id and a higher revision. */
export function stateOfEntry(entry: Entry, entries: readonly Entry[]): EntryState {
  const current = currentEntries(entries).find((one) => subjectOf(one) === subjectOf(entry));
  if (current === undefined || current.revision < entry.revision) return 'lost';
  if (current.id === entry.id) return 'present';
  // Another entry that does the same for at least as long: from a replica that knew more, or from someone else.
  if (current.action === entry.action && current.until >= entry.until) return 'present';
  // An older one that a replica has brought back, with a revision from a time when Redis' clock was ahead.
  return current.at < entry.at ? 'lost' : { supersededBy: current };
}

/**
 * Why a replica has not confirmed. `behind`: it reports, and has not merged the entry. `silent`: it is cut off, hanging,
 * or stopped. `other keys`: what it reports can't be opened here.
 */
type Absence = 'behind' | 'silent' | 'other keys';

export type Confirmation = Readonly<ReturnType<typeof confirmationOf>>;

/** Milliseconds since a replica last reported: until then it is healthy, and it is remembered. */
const aliveFor = 5_000;
const rememberedFor = 3_600_000;

const pause = 100;

/** Waits until every replica has the entry, or the entry is not in the list any more. @throws RedisProblem */
async function waitForConfirmation(redis: ProbedRedis, entry: Entry, end: number, signal: AbortSignal) {
  // A replica reports the digest of its list: it has the entry when that list has it. The list may change during the wait,
  // by other commands, and by replicas that find something missing.
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
      const old = seen.replicas.filter(({ heardAt }) => seen.now - heardAt > rememberedFor).map(({ id }) => id);
      // Nothing depends on it: the next command tries again.
      if (old.length > 0) await forgetReplicas(redis, old).catch(() => undefined);
      return confirmation;
    }
    await setTimeout(pause, undefined, { signal }).catch(() => undefined);
  }
}

/** @param hasEntry whether the list of that digest has the entry */
export function confirmationOf(
  { now, replicas }: { readonly now: number; readonly replicas: readonly KnownReplica[] },
  hasEntry: (digest: string) => boolean,
) {
  const confirmed: string[] = [];
  const unconfirmed: { id: string; heardAt: number; absence: Absence }[] = [];
  /** Silent for so long that they do not count. */
  const gone: { id: string; heardAt: number }[] = [];
  for (const { id, heardAt, applied } of replicas.toSorted((one, other) => (one.id < other.id ? -1 : 1))) {
    const silence = now - heardAt;
    if (silence > rememberedFor) continue;
    if (silence > countsFor) gone.push({ id, heardAt });
    else if (applied !== undefined && hasEntry(applied)) confirmed.push(id);
    else {
      const absence = silence > aliveFor ? 'silent' : applied === undefined ? 'other keys' : 'behind';
      unconfirmed.push({ id, heardAt, absence });
    }
  }
  return { now, confirmed, unconfirmed, gone };
}
