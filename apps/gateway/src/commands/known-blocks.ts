import { pino } from 'pino';
import { causeOf } from '../config/problems.ts';
import type { GatewayConfig } from '../config/types.ts';
import { createRevocationList } from '../revocation/list.ts';
import { readListing } from '../revocation/listing.ts';
import type { Blocks } from '../revocation/types.ts';
import { createRedisPool } from '../runtime/redis-pool.ts';

/** Who is blocked, as a gateway of this config would know it. */
export interface KnownBlocks {
  readonly blocks: Blocks;
  /** Why it is not known; left out when it is, or when there is no Redis to know it from. */
  readonly fault?: string;
}

/** Reads the revocation list once. */
export async function readBlocks({ cache, baseDirectory }: GatewayConfig): Promise<KnownBlocks> {
  let now = Date.now();
  const list = createRevocationList(() => now, Date.now);
  if (cache.redis === undefined) return { blocks: list };
  const pool = createRedisPool({ logger: pino({ level: 'silent' }), onError: () => {} });
  try {
    const lease = await pool.acquire(cache.redis, baseDirectory);
    try {
      const listing = await readListing(lease.redis);
      now = listing.now;
      list.merge(listing.entries);
      if (listing.unreadable === 0) return { blocks: list };
      return {
        blocks: list,
        fault: `${listing.unreadable} entries can't be opened: are the sealing keys the same everywhere?`,
      };
    } finally {
      await lease.release();
    }
  } catch (error) {
    return { blocks: list, fault: causeOf(error) };
  }
}
