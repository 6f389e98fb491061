import { setTimeout } from 'node:timers/promises';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { forgetReplicas, type KnownReplica, type ReplicaListing, readReplicas } from './known-replicas.ts';
import { digestOfList } from './list.ts';
import { readListing } from './listing.ts';
import { type Fate, fateOf } from './place-entry.ts';
import type { Published } from './publish.ts';

/**
 * Why a replica has not confirmed. `behind`: it is heard of, and has not taken it in. `silent`: cut off, hanging, or
 * stopped. `other keys`: what it tells can't be opened here.
 */
export type Absence = 'behind' | 'silent' | 'other keys';

interface Unconfirmed extends Pick<KnownReplica, 'id' | 'heardAt'> {
  readonly absence: Absence;
}

export interface Confirmation {
  /** Redis' time, milliseconds since 1970, at the last look. */
  readonly now: number;
  readonly confirmed: readonly string[];
  readonly unconfirmed: readonly Unconfirmed[];
  /** Not heard of for so long that they do not count. */
  readonly gone: readonly Pick<KnownReplica, 'id' | 'heardAt'>[];
}

export interface Waiting {
  /** By the monotonic clock of this process, milliseconds. */
  readonly end: number;
  /** Ends the wait before its time. */
  readonly signal: AbortSignal;
}

/** Milliseconds since a replica was last heard of: up to then it is well, it counts, it is remembered. */
const aliveFor = 5_000;
const countsFor = 60_000;
const rememberedFor = 3_600_000;

const lookInterval = 100;

/** Waits until every replica has the entry, or the entry is not in the list any more. @throws RedisProblem */
export async function waitForConfirmation(
  redis: ProbedRedis,
  { entry }: Pick<Published, 'entry'>,
  { end, signal }: Waiting,
): Promise<Confirmation> {
  // A replica tells which list it holds: it has the entry when that one has it. Others may change the list meanwhile,
  // and replicas do when they find something missing.
  const fates = new Map<string, Fate>();
  let revision: string | undefined;
  let fate: Fate = 'kept';
  for (;;) {
    const seen = await readReplicas(redis);
    if (revision !== seen.revision) {
      const listing = await readListing(redis);
      revision = listing.revision;
      fate = fateOf(entry, listing.entries);
      fates.set(digestOfList(listing.entries), fate);
    }
    const confirmation = judgeReplicas(seen, (applied) => fates.get(applied) === 'kept');
    const isOver = performance.now() >= end || signal.aborted || fate !== 'kept';
    if (confirmation.unconfirmed.length === 0 || isOver) {
      const old = seen.replicas.filter(({ heardAt }) => seen.now - heardAt > rememberedFor).map(({ id }) => id);
      // Nothing hangs on it: the next command tries again.
      await forgetReplicas(redis, old).catch(() => undefined);
      return confirmation;
    }
    await setTimeout(lookInterval, undefined, { signal }).catch(() => undefined);
  }
}

/** @param hasTaken whether the list of that digest has the entry */
export function judgeReplicas(
  { now, replicas }: Pick<ReplicaListing, 'now' | 'replicas'>,
  hasTaken: (digest: string) => boolean,
): Confirmation {
  const confirmed: string[] = [];
  const unconfirmed: Unconfirmed[] = [];
  const gone: Pick<KnownReplica, 'id' | 'heardAt'>[] = [];
  for (const { id, heardAt, applied } of replicas.toSorted((one, other) => (one.id < other.id ? -1 : 1))) {
    const silence = now - heardAt;
    if (silence > rememberedFor) continue;
    if (silence > countsFor) gone.push({ id, heardAt });
    else if (applied !== undefined && hasTaken(applied)) confirmed.push(id);
    else {
      const absence = silence > aliveFor ? 'silent' : applied === undefined ? 'other keys' : 'behind';
      unconfirmed.push({ id, heardAt, absence });
    }
  }
  return { now, confirmed, unconfirmed, gone };
}
