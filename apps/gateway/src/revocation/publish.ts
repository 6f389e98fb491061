import { setTimeout } from 'node:timers/promises';
import { RedisProblem } from '@sallyport/redis-connection';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { type Applied, applyChange, changeTowards, type Listing, newEntryId, readListing } from './listing.ts';
import { type Draft, placeEntry } from './place-entry.ts';
import type { Entry } from './types.ts';

/** `revision` is the list's, with the entry in it. */
export interface Published extends Applied {
  readonly entry: Entry;
  /** Entries that none of the keys opens. */
  readonly unreadable: number;
}

/** Milliseconds that replicas have to write back what they hold, when Redis has lost it: they look each 500 ms. */
const writeBackLimit = 1_500;
const lookInterval = 100;

/** Each time that somebody else was faster, they got on: so many commands at one time may be. */
const mostTries = 20;

/**
 * Puts an entry into the list in Redis.
 *
 * @param draft made anew of what the list says whenever somebody else has changed it meanwhile
 * @throws RedisProblem, Error when the list is full or can't be changed, and what `draft` throws
 */
export async function publish(redis: ProbedRedis, draft: (listing: Listing) => Draft): Promise<Published> {
  let listing = await readWrittenBack(redis);
  for (let tries = 0; tries < mostTries; tries++) {
    const placed = placeEntry(draft(listing), listing);
    const entry = { ...placed.entry, id: newEntryId() };
    const applied = await change(redis, listing, [...placed.others, entry]);
    if (applied !== undefined) return { ...applied, entry, unreadable: listing.unreadable };
    listing = await readListing(redis);
  }
  throw new Error('nothing was done: others change the revocation list all the time. Run the command again');
}

async function change(redis: ProbedRedis, listing: Listing, wanted: readonly Entry[]): Promise<Applied | undefined> {
  try {
    return await applyChange(redis, listing, changeTowards(wanted, listing, redis.sealingKeys));
  } catch (error) {
    if (!(error instanceof RedisProblem) || !['timeout', 'connection', 'node'].includes(error.kind)) throw error;
    throw new Error(`${error.message}; whether it was done is not known: run the command again`, { cause: error });
  }
}

/** A Redis without a list may be one that was flushed: then the replicas know who is blocked. */
async function readWrittenBack(redis: ProbedRedis): Promise<Listing> {
  const end = performance.now() + writeBackLimit;
  let listing = await readListing(redis);
  while (listing.revision === '' && performance.now() < end) {
    await setTimeout(lookInterval);
    listing = await readListing(redis);
  }
  return listing;
}
