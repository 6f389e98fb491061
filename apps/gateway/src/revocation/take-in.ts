import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { digestOfList, type RevocationList } from './list.ts';
import { applyChange, changeTowards, type Listing, newEntryId, readListing } from './listing.ts';
import type { Entry } from './types.ts';

/** What of a Redis was taken in. */
export interface TakenIn {
  readonly redis: ProbedRedis;
  readonly revision: string;
  readonly fields: number;
  /** Of the list that this process holds: whatever stands in Redis is known here, and the other way round. Else undefined. */
  readonly digest: string | undefined;
  readonly adopted: readonly Entry[];
  /** See `Listing`. */
  readonly unreadable: number;
}

/**
 * Reads the whole list from Redis into this process, and mends the one in Redis: it writes back what Redis has lost, adds
 * what is missing for a sealing key, and puts last what came out of its order.
 *
 * @throws RedisProblem when it can't be read; a Redis that takes no writes is mended the next time
 */
export async function takeIn(redis: ProbedRedis, list: RevocationList): Promise<TakenIn> {
  const listing = await readListing(redis);
  const { adopted, outOfOrder } = list.merge(listing.entries);
  const isMended = await mend(redis, listing, list, new Set(outOfOrder.map(({ id }) => id)));
  return {
    redis,
    revision: listing.revision,
    fields: listing.fields.size,
    digest: isMended && listing.unreadable === 0 ? digestOfList(list.entries) : undefined,
    adopted,
    unreadable: listing.unreadable,
  };
}

/** @returns whether there was nothing to mend: else it is to be read again, also when somebody else was faster */
async function mend(
  redis: ProbedRedis,
  listing: Listing,
  list: RevocationList,
  outOfOrder: ReadonlySet<string>,
): Promise<boolean> {
  let { revision } = list;
  const wanted = list.entries.map((entry) =>
    outOfOrder.has(entry.id) ? { ...entry, id: newEntryId(), revision: ++revision } : entry,
  );
  const change = changeTowards(wanted, listing, redis.sealingKeys);
  const isNamed = listing.revision !== '' || wanted.length === 0;
  if (isNamed && change.add.size === 0 && change.remove.length === 0) return true;
  await applyChange(redis, listing, change).catch(() => undefined);
  return false;
}
