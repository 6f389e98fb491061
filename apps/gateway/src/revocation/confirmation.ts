import { setTimeout } from 'node:timers/promises';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { currentEntries, digestOfList, subjectOf } from './list.ts';
import { type Draft, type Published, publish } from './publish.ts';
import { type Listing, readListing } from './redis-list.ts';
import { forgetReplicas, type KnownReplica, type ReplicaListing, readReplicas } from './replicas.ts';
import type { Entry } from './types.ts';

export interface Publication extends Pick<Published, 'entry' | 'unreadable' | 'isAboveLimit'> {
  readonly confirmation: Confirmation;
  /** The entry that someone else has put in its place since. */
  readonly supersededBy?: Entry;
  /** The list has entries of a kind that version 0.1.0 can't read: while they are there, it confirms nothing. */
  readonly hasNewKinds: boolean;
}

export interface ConfirmationOptions {
  /** Milliseconds to wait for the replicas, in each round. */
  readonly wait: number;
  /** Ends the wait before its time. */
  readonly signal: AbortSignal;
}

/** A Redis that fails over or is flushed in between loses the entry. More often than this it has another problem. */
const mostRounds = 3;

/**
 * Puts an entry into the list, and waits until all replicas have it and it has stayed.
 *
 * @throws RedisProblem, Error when it can't be done, and what `draft` throws
 */
export async function publishAndConfirm(
  redis: ProbedRedis,
  draft: (listing: Listing) => Draft,
  { wait, signal }: ConfirmationOptions,
): Promise<Publication> {
  let next = draft;
  for (let round = 0; round < mostRounds; round++) {
    const { entry, unreadable, isAboveLimit } = await publish(redis, next);
    const confirmation = await waitForConfirmation(redis, entry, performance.now() + wait, signal);
    const { entries } = await readListing(redis);
    const fate = fateOf(entry, entries);
    if (fate !== 'lost') {
      const hasNewKinds = entries.some((one) => one.kind === 'jti' || one.kind === 'sid');
      return { entry, confirmation, unreadable, isAboveLimit, hasNewKinds, ...(fate !== 'present' && fate) };
    }
    const { action, kind, name, by, reason, until } = entry;
    next = () => ({ action, kind, name, by, until, ...(reason !== undefined && { reason }) });
  }
  throw new Error(
    `Redis lost the entry ${mostRounds} times in a row, each time shortly after it was written. Fix Redis, and run the command again`,
  );
}

/** What became of an entry. `lost`: it is gone, and no one has superseded it since it was made. */
export type Fate = 'present' | 'lost' | { readonly supersededBy: Entry };

/** A replica that knew more than Redis puts an entry in its place with another id and a higher revision. */
export function fateOf(entry: Entry, entries: readonly Entry[]): Fate {
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

interface Unconfirmed extends Pick<KnownReplica, 'id' | 'heardAt'> {
  readonly absence: Absence;
}

export interface Confirmation {
  /** Redis' time, milliseconds since 1970, at the last poll. */
  readonly now: number;
  readonly confirmed: readonly string[];
  readonly unconfirmed: readonly Unconfirmed[];
  /** Silent for so long that they do not count. */
  readonly gone: readonly Pick<KnownReplica, 'id' | 'heardAt'>[];
}

/** Milliseconds since a replica last reported: until then it is healthy, it counts, it is remembered. */
const aliveFor = 5_000;
const countsFor = 60_000;
const rememberedFor = 3_600_000;

const pause = 100;

/**
 * Waits until every replica has the entry, or the entry is not in the list any more.
 *
 * @param end monotonic milliseconds
 * @throws RedisProblem
 */
async function waitForConfirmation(
  redis: ProbedRedis,
  entry: Entry,
  end: number,
  signal: AbortSignal,
): Promise<Confirmation> {
  // A replica reports the digest of its list: it has the entry when that list has it. The list may change during the wait,
  // by other commands, and by replicas that find something missing.
  const fates = new Map<string, Fate>();
  let revision: string | undefined;
  let fate: Fate = 'present';
  for (;;) {
    const seen = await readReplicas(redis);
    if (revision !== seen.revision) {
      const listing = await readListing(redis);
      revision = listing.revision;
      fate = fateOf(entry, listing.entries);
      fates.set(digestOfList(listing.entries), fate);
    }
    const confirmation = judgeReplicas(seen, (applied) => fates.get(applied) === 'present');
    const isOver = performance.now() >= end || signal.aborted || fate !== 'present';
    if (confirmation.unconfirmed.length === 0 || isOver) {
      const old = seen.replicas.filter(({ heardAt }) => seen.now - heardAt > rememberedFor).map(({ id }) => id);
      // Nothing depends on it: the next command tries again.
      await forgetReplicas(redis, old).catch(() => undefined);
      return confirmation;
    }
    await setTimeout(pause, undefined, { signal }).catch(() => undefined);
  }
}

/** @param hasEntry whether the list of that digest has the entry */
export function judgeReplicas(
  { now, replicas }: Pick<ReplicaListing, 'now' | 'replicas'>,
  hasEntry: (digest: string) => boolean,
): Confirmation {
  const confirmed: string[] = [];
  const unconfirmed: Unconfirmed[] = [];
  const gone: Pick<KnownReplica, 'id' | 'heardAt'>[] = [];
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
