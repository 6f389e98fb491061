import { causeOf } from '../config/problems.ts';
import { createRevocationList, type RevocationList } from '../revocation/list.ts';
import { readListing } from '../revocation/redis-list.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';

/** Who is blocked, as a gateway of this config would know it. */
export interface KnownBlocks {
  readonly blocks: RevocationList;
  /** The Redis answered. */
  readonly isRead: boolean;
  /** Why it is not known; left out when it is, or when there is no Redis to know it from. */
  readonly fault?: string;
}

/** Reads the revocation list once. */
export async function readBlocks(redis: ProbedRedis | undefined): Promise<KnownBlocks> {
  let now = Date.now();
  const blocks = createRevocationList(() => now, Date.now);
  if (redis === undefined) return { blocks, isRead: false };
  try {
    const listing = await readListing(redis);
    now = listing.now;
    blocks.merge(listing.entries);
    if (listing.unreadable === 0) return { blocks, isRead: true };
    const fault = `${listing.unreadable} entries can't be opened: are the sealing keys the same everywhere?`;
    return { blocks, isRead: true, fault };
  } catch (error) {
    return { blocks, isRead: false, fault: causeOf(error) };
  }
}
