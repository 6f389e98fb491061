import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { type Confirmation, waitForConfirmation } from './confirmation.ts';
import { type Listing, readListing } from './listing.ts';
import { type Draft, fateOf } from './place-entry.ts';
import { publish } from './publish.ts';
import type { Entry } from './types.ts';

export interface Announcement {
  readonly entry: Entry;
  readonly confirmation: Confirmation;
  /** Entries of the list that none of the keys opens. */
  readonly unreadable: number;
  /** The memory of Redis is full: the entry was written above its `maxmemory`. */
  readonly isAboveLimit: boolean;
  /** What somebody else has put in its place meanwhile. */
  readonly overruledBy?: Entry;
}

export interface AnnounceOptions {
  /** Milliseconds to wait for the replicas, each time that it has to be done. */
  readonly wait: number;
  /** Ends the wait before its time. */
  readonly signal: AbortSignal;
}

/** A Redis that fails over, or is flushed, in the middle of it loses the entry: more often than that is another matter. */
const mostRounds = 3;

/**
 * Puts an entry into the list and waits until all replicas have it, and it has stayed.
 *
 * @throws RedisProblem, Error when it can't be done, and what `draft` throws
 */
export async function announce(
  redis: ProbedRedis,
  draft: (listing: Listing) => Draft,
  { wait, signal }: AnnounceOptions,
): Promise<Announcement> {
  let next = draft;
  for (let round = 0; round < mostRounds; round++) {
    const published = await publish(redis, next);
    const confirmation = await waitForConfirmation(redis, published, { end: performance.now() + wait, signal });
    const fate = fateOf(published.entry, (await readListing(redis)).entries);
    const { entry, unreadable, isAboveLimit } = published;
    if (fate === 'kept') return { entry, confirmation, unreadable, isAboveLimit };
    if (fate !== 'lost') return { entry, confirmation, unreadable, isAboveLimit, ...fate };
    const { action, kind, name, by, reason, until } = entry;
    next = () => ({ action, kind, name, by, until, ...(reason !== undefined && { reason }) });
  }
  throw new Error(
    `Redis has lost it ${mostRounds} times in a row: it is written, and gone a moment later. Mend Redis, and run the command again`,
  );
}
