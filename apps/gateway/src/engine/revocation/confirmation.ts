import { setTimeout } from 'node:timers/promises';
import { RedisProblem } from '@sallyport/redis-connection';
import { FixableError } from '../../config/problems.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import {
  digestList,
  type Entry,
  identifySubject,
  isFactorEntry,
  selectCurrentEntries,
} from './list.ts';
import { type Draft, publish } from './publish.ts';
import { type Listing, readListing } from './redis-list.ts';
import {
  countsFor,
  forgetReplicas,
  hasReplaced,
  type KnownReplica,
  readReplicas,
  replicaRetention,
} from './replicas.ts';

/** How a command waits for the replicas. */
export interface ConfirmationWait {
  /** How long it waits in each round, in milliseconds. */
  readonly wait: number;
  /** The number of replicas that must confirm. Undefined: all that were noted in the last hour, and at least one. */
  readonly expect?: number | undefined;
  /** Ends the wait early. */
  readonly signal: AbortSignal;
}

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
 * @throws RedisProblem, Error when it can't be done, and what `draft` throws
 */
export async function publishAndConfirm(
  redis: ProbedRedis,
  draft: (listing: Listing) => Draft,
  options: ConfirmationWait,
): Promise<Publication> {
  let next = draft;
  // Replicas are noted before anything is written: another client of Redis may remove the notes later.
  const noted = new Map<string, KnownReplica>();
  note(noted, await readReplicas(redis));
  for (let round = 0; round < maxRounds; round++) {
    const published = await publish(redis, next);
    const { entry } = published;
    const { confirmation, entries } = await confirm(redis, entry, noted, options).catch(
      throwUnconfirmed,
    );
    const state = findEntryState(entry, entries);
    if (state !== 'lost') {
      const hasNewKinds = entries.some(isNewKind);
      return { ...published, confirmation, hasNewKinds, ...(state !== 'present' && state) };
    }
    const { id, ...sameDraft } = entry;
    next = () => sameDraft;
  }
  throw new FixableError(
    `Redis lost the entry ${maxRounds} times in a row, each time shortly after it was written`,
    'fix Redis, and run the command again',
  );
}

async function confirm(...terms: Parameters<typeof waitForConfirmation>) {
  const [redis] = terms;
  const confirmation = await waitForConfirmation(...terms);
  const { entries } = await readListing(redis);
  return { confirmation, entries };
}

function throwUnconfirmed(error: unknown): never {
  if (!(error instanceof RedisProblem)) throw error;
  const message = `${error.message}; the entry was written, and it is not known which replicas have it`;
  throw new FixableError(message, 'run the command again', { cause: error });
}

/** Whether gateways of an older version can't read an entry. */
function isNewKind(entry: Entry): boolean {
  return (
    entry.kind === 'jti' ||
    entry.kind === 'sid' ||
    entry.kind === 'credential' ||
    isFactorEntry(entry)
  );
}

/** The state of a published entry. `lost`: it is gone, and nothing has superseded it. */
export type EntryState = 'present' | 'lost' | { readonly supersededBy: Entry };

/**
 * Finds the state of an entry. A replica that knew more than Redis replaces an entry by one with another id and a higher
 * revision.
 */
export function findEntryState(entry: Entry, entries: readonly Entry[]): EntryState {
  const current = selectCurrentEntries(entries).find(
    (candidate) => identifySubject(candidate) === identifySubject(entry),
  );
  if (current === undefined || current.revision < entry.revision) return 'lost';
  if (current.id === entry.id) return 'present';
  // Another entry does the same for at least as long: it is from a replica that knew more, or from someone else.
  if (current.action === entry.action && current.until >= entry.until) return 'present';
  // An older entry may come back from a replica, with a revision from a time when Redis' clock was ahead.
  return current.at < entry.at ? 'lost' : { supersededBy: current };
}

/**
 * Why a replica has not confirmed. `behind`: it reports, and has not merged the entry. `silent`: it is cut off, hanging,
 * or stopped. `other keys`: what it reports can't be opened here. `removed`: it was noted during the command, and is not any more.
 */
type Absence = 'behind' | 'silent' | 'other keys' | 'removed';

export interface Confirmation extends Readonly<ReturnType<typeof sortReplicas>> {
  /** See `ConfirmationWait.expect`. */
  readonly expected?: number | undefined;
}

/** Whether all replicas that count have confirmed, and as many as there must be. */
export function isConfirmed(confirmation: Confirmation): boolean {
  const { confirmed, unconfirmed, longSilent, expected } = confirmation;
  if (unconfirmed.length > 0) return false;
  if (expected !== undefined) return confirmed.length >= expected;
  return confirmed.length > 0 && longSilent.length === 0;
}

/** A replica that reported within this time is healthy. Milliseconds. */
const aliveFor = 5_000;
/** The time between two looks at the replicas. Milliseconds. */
const confirmInterval = 100;

type ReplicaSnapshot = Awaited<ReturnType<typeof readReplicas>>;

/**
 * Remembers the last note of each replica. Its time is in clear: another client that sets it back does not make the replica
 * one that no command waits for.
 */
function note(noted: Map<string, KnownReplica>, { replicas }: ReplicaSnapshot): void {
  for (const { id, heardAt, applied } of replicas) {
    const latest = Math.max(heardAt, noted.get(id)?.heardAt ?? heardAt);
    noted.set(id, { id, heardAt: latest, applied });
  }
}

/**
 * Waits until every replica has the entry, or the entry is not in the list any more.
 *
 * @param noted the replicas that this command has seen, to which it adds
 * @throws RedisProblem
 */
async function waitForConfirmation(
  redis: ProbedRedis,
  entry: Entry,
  noted: Map<string, KnownReplica>,
  { wait, expect, signal }: ConfirmationWait,
) {
  const end = performance.now() + wait;
  // A replica reports the digest of its list: it has the entry when that list has it. Other commands, and replicas that find
  // something missing, may change the list during the wait.
  const states = new Map<string, EntryState>();
  let revision: string | undefined;
  let state: EntryState = 'present';
  for (;;) {
    const snapshot = await readReplicas(redis);
    note(noted, snapshot);
    if (revision !== snapshot.revision) {
      const listing = await readListing(redis);
      revision = listing.revision;
      state = findEntryState(entry, listing.entries);
      states.set(digestList(listing.entries), state);
    }
    const present = new Set(snapshot.replicas.map(({ id }) => id));
    const sorted = sortReplicas(
      { now: snapshot.now, replicas: [...noted.values()] },
      (applied) => states.get(applied) === 'present',
      (id) => present.has(id),
    );
    const confirmation = { ...sorted, expected: expect };
    const isOver = performance.now() >= end || signal.aborted || state !== 'present';
    // No command waits for a replica that was silent for so long.
    if (isOver || isConfirmed({ ...confirmation, longSilent: [] })) {
      const old = snapshot.replicas
        .filter(({ heardAt }) => snapshot.now - heardAt > replicaRetention)
        .map(({ id }) => id);
      // Nothing depends on this: the next command repeats it.
      if (old.length > 0) await forgetReplicas(redis, old).catch(() => undefined);
      return confirmation;
    }
    await setTimeout(confirmInterval, undefined, { signal }).catch(() => undefined);
  }
}

/**
 * Sorts replicas by whether they have an entry.
 *
 * @param hasEntry says whether the list with a digest has the entry
 * @param isNoted says whether a replica is still noted in Redis
 */
export function sortReplicas(
  { now, replicas }: { readonly now: number; readonly replicas: readonly KnownReplica[] },
  hasEntry: (digest: string) => boolean,
  isNoted: (id: string) => boolean = () => true,
) {
  const confirmed: string[] = [];
  const unconfirmed: { id: string; heardAt: number; absence: Absence }[] = [];
  /** Replicas that were silent for so long that no command waits for them. They may still run, cut off. */
  const longSilent: { id: string; heardAt: number }[] = [];
  for (const { id, heardAt, applied } of replicas.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
    const silence = now - heardAt;
    if (silence > replicaRetention) continue;
    if (silence <= countsFor && applied !== undefined && hasEntry(applied)) confirmed.push(id);
    else if (!isNoted(id)) unconfirmed.push({ id, heardAt, absence: 'removed' });
    else if (silence > countsFor) longSilent.push({ id, heardAt });
    else {
      const absence =
        silence > aliveFor ? 'silent' : applied === undefined ? 'other keys' : 'behind';
      unconfirmed.push({ id, heardAt, absence });
    }
  }
  // A replica removes the notes of those whose address it has.
  const isReplaced = (id: string) => confirmed.some((successor) => hasReplaced(successor, id));
  return {
    now,
    confirmed,
    unconfirmed: unconfirmed.filter(({ id, absence }) => absence !== 'removed' || !isReplaced(id)),
    longSilent,
  };
}
