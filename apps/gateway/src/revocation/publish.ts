import { setTimeout } from 'node:timers/promises';
import { RedisProblem } from '@sallyport/redis-connection';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { currentEntries, type Entry, subjectOf } from './list.ts';
import { applyChange, changeTowards, type Listing, newEntryId, readListing } from './redis-list.ts';

/** An entry that has no place in the list yet. */
export type Draft = Pick<Entry, 'action' | 'kind' | 'name' | 'by' | 'reason' | 'until'>;

/** Milliseconds that an entry is remembered at least: a replica that was cut off may still hold what it superseded. */
const minRetention = 3_600_000;

/** Bytes of one entry: what is longer would not be read. */
const maxEntryBytes = 4_096;

/** Every replica holds all entries in memory, and checks each review against them. */
const maxEntries = 10_000;

/**
 * Puts an entry last. Entries that it supersedes or that have ended are dropped: the new entry holds the highest revision.
 *
 * @returns also the other entries of the list from then on
 */
export function placeEntry(draft: Draft, { entries, now }: Pick<Listing, 'entries' | 'now'>) {
  const highest = entries.reduce((most, { revision }) => Math.max(most, revision), 0);
  const current = currentEntries(entries);
  const superseded = current.filter((one) => subjectOf(one) === subjectOf(draft));
  const keptUntil = Math.max(draft.until, now + minRetention, ...superseded.map((one) => one.keptUntil));
  // At least Redis' time: a list that was lost begins above all revisions that it had.
  const entry = { ...draft, revision: Math.max(highest + 1, now), at: now, keptUntil };
  if (Buffer.byteLength(JSON.stringify(entry)) > maxEntryBytes) {
    throw new Error(`the name, --reason and --by are too long together: at most ${maxEntryBytes} bytes`);
  }
  const others = current.filter((one) => one.keptUntil > now && !superseded.includes(one));
  if (others.length >= maxEntries) {
    throw new Error(
      `the revocation list is full: ${others.length} entries are in force, which is the limit. ` +
        'Block a group instead of its users, or end a block; the command "blocks" lists them',
    );
  }
  return { entry, others };
}

/** Milliseconds in which replicas write back a list that Redis has lost: they connect within 1 s, and poll every 500 ms. */
export const writeBackLimit = 2_000;
const pause = 100;

/** Each failed try means that another command succeeded: this many may run at one time. */
const maxAttempts = 20;

/**
 * Puts an entry into the list in Redis.
 *
 * @param draft called again with the list whenever someone else has changed it
 * @returns also the number of entries that none of the keys opens, and whether the memory of Redis is full
 * @throws RedisProblem, Error when the list is full or can't be changed, and what `draft` throws
 */
export async function publish(redis: ProbedRedis, draft: (listing: Listing) => Draft) {
  let listing = await readWrittenBack(redis);
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const placed = placeEntry(draft(listing), listing);
    const entry: Entry = { ...placed.entry, id: newEntryId() };
    const change = changeTowards([...placed.others, entry], listing, redis.sealingKeys);
    const applied = await applyChange(redis, listing, change).catch(throwUnknownOutcome);
    if (applied !== undefined) return { ...applied, entry, unreadable: listing.unreadable };
    listing = await readWrittenBack(redis);
  }
  throw new Error('the list kept changing while we tried to update it; nothing was written. Run the command again');
}

function throwUnknownOutcome(error: unknown): never {
  if (!(error instanceof RedisProblem) || !['timeout', 'connection', 'node'].includes(error.kind)) throw error;
  const message = `${error.message}; it is not known whether the entry was written: run the command again`;
  throw new Error(message, { cause: error });
}

/** A Redis without a list may have been flushed: then the replicas know who is blocked, and which replicas there are. */
async function readWrittenBack(redis: ProbedRedis): Promise<Listing> {
  const end = performance.now() + writeBackLimit;
  let listing = await readListing(redis);
  while (listing.revision === '' && performance.now() < end) {
    await setTimeout(pause);
    listing = await readListing(redis);
  }
  return listing;
}
