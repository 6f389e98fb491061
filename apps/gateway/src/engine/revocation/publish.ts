import { setTimeout } from 'node:timers/promises';
import { RedisProblem } from '@sallyport/redis-connection';
import { FixableError } from '../../config/problems.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { type Entry, identifySubject, isFactorEntry, selectCurrentEntries } from './list.ts';
import {
  applyChange,
  changeTowards,
  createEntryId,
  isWholeList,
  type Listing,
  readListing,
} from './redis-list.ts';

/** An entry that is not in the list yet. */
export type Draft = Pick<Entry, 'action' | 'kind' | 'name' | 'by' | 'reason' | 'until'>;

/**
 * The minimum time for which an entry is remembered: a replica that was cut off may still have what it superseded.
 * Milliseconds.
 */
const minRetention = 3_600_000;

/** The maximum size of one entry, in bytes: a longer one would not be read. */
const maxEntryBytes = 4_096;

/** The maximum number of entries: every replica has all of them in memory, and checks each review against them. */
export const maxEntries = 10_000;

/**
 * The maximum number of entries about second factors, which are for the audit trail alone. They have a limit of their own: thousands
 * of invitations in an hour must not keep anyone from being blocked.
 */
const maxFactorEntries = 1_000;

/**
 * Puts an entry last, and drops entries that it supersedes or that have ended: the new entry has the highest revision.
 *
 * @returns the entry, and the other entries of the new list
 * @throws Error when the entry is too long, or the list is full
 */
export function placeEntry(draft: Draft, { entries, now }: Pick<Listing, 'entries' | 'now'>) {
  const highest = entries.reduce((max, { revision }) => Math.max(max, revision), 0);
  const current = selectCurrentEntries(entries);
  const superseded = current.filter(
    (existing) => identifySubject(existing) === identifySubject(draft),
  );
  const keptUntil = Math.max(
    draft.until,
    now + minRetention,
    ...superseded.map((existing) => existing.keptUntil),
  );
  // At least Redis' time: a list that was lost begins above all revisions that it had.
  const entry = { ...draft, revision: Math.max(highest + 1, now), at: now, keptUntil };
  if (Buffer.byteLength(JSON.stringify(entry)) > maxEntryBytes) {
    throw new FixableError(
      `the name, --reason and --by are longer than ${maxEntryBytes} bytes together`,
      'shorten --reason',
    );
  }
  const otherEntries = current.filter(
    (existing) => existing.keptUntil > now && !superseded.includes(existing),
  );
  const sameKindCount = otherEntries.filter(
    (existing) => isFactorEntry(existing) === isFactorEntry(draft),
  ).length;
  if (isFactorEntry(draft) && sameKindCount >= maxFactorEntries) {
    throw new FixableError(
      `the list has ${sameKindCount} invitations and resets of second factors of the last hour, which is the limit`,
      'run the command again later',
    );
  }
  if (sameKindCount >= maxEntries) {
    throw new FixableError(
      `the revocation list is full: ${sameKindCount} entries are in force, which is the limit`,
      'block a group instead of its users, or end a block; the command "blocks" lists them',
    );
  }
  return { entry, otherEntries };
}

/**
 * How long replicas take to write back a list that Redis has lost: they connect within 1 s, and poll every 500 ms.
 * Milliseconds.
 */
export const writeBackLimit = 2_000;
/** The time between two looks for a list that is written back. Milliseconds. */
const rereadInterval = 100;

/** The maximum number of attempts. Each failed one means that another command succeeded: this many may run at one time. */
const maxAttempts = 20;

const lastPublished = new WeakMap<ProbedRedis, Promise<unknown>>();

/**
 * Puts an entry into the list in Redis. The entries of one process take turns: many users who log out everywhere at the same moment
 * would keep changing the list under each other, and under commands.
 *
 * @param draft makes the entry from the list; called again whenever someone else has changed the list
 * @returns the entry, which entries none of the keys opens, whether the memory of Redis is full, and whether Redis `hadList`: a
 *   whole one, before
 * @throws RedisProblem, Error when the list is full or can't be changed, and what `draft` throws
 */
export async function publish(redis: ProbedRedis, draft: (listing: Listing) => Draft) {
  const listing = await readWrittenBack(redis);
  // Each one would wait for a list that does not come.
  if (!isWholeList(listing.revision)) return putEntry(redis, draft, listing);
  const putInTurn = async () => putEntry(redis, draft, await readWrittenBack(redis));
  const published = (lastPublished.get(redis) ?? Promise.resolve()).then(putInTurn, putInTurn);
  lastPublished.set(redis, published);
  return published;
}

async function putEntry(
  redis: ProbedRedis,
  draft: (listing: Listing) => Draft,
  firstListing: Listing,
) {
  let listing = firstListing;
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const placed = placeEntry(draft(listing), listing);
    const entry: Entry = { ...placed.entry, id: createEntryId() };
    const change = changeTowards([...placed.otherEntries, entry], listing, redis.sealingKeys);
    // Only an operator can say that a new Redis, or one that lost its data, needs no other list.
    const isWhole = entry.action === 'revoke' && entry.kind === 'all';
    const applied = await applyChange(redis, listing, change, { isWhole }).catch(
      throwUnknownOutcome,
    );
    if (applied !== undefined) {
      const hadList = isWholeList(listing.revision);
      return { ...applied, entry, unreadable: listing.unreadable, hadList };
    }
    listing = await readWrittenBack(redis);
  }
  throw new FixableError(
    'the list kept changing while we tried to update it; nothing was written',
    'run the command again',
  );
}

function throwUnknownOutcome(error: unknown): never {
  if (!(error instanceof RedisProblem) || !['timeout', 'connection', 'node'].includes(error.kind))
    throw error;
  const message = `${error.message}; it is not known whether the entry was written`;
  throw new FixableError(message, 'run the command again', { cause: error });
}

/** Reads the list. A Redis without one may have been flushed, and replicas write the list and their notes back. */
async function readWrittenBack(redis: ProbedRedis): Promise<Listing> {
  const end = performance.now() + writeBackLimit;
  let listing = await readListing(redis);
  while (!isWholeList(listing.revision) && performance.now() < end) {
    await setTimeout(rereadInterval);
    listing = await readListing(redis);
  }
  return listing;
}
