import { causeOf } from '../config/problems.ts';
import type { GatewayConfig, LockoutConfig } from '../config/types.ts';
import { createAttempts, type LockoutGuard } from '../lockout/attempts.ts';
import { createLogger } from '../logging/logger.ts';
import { createRevocationList, type RevocationList } from '../revocation/list.ts';
import { readListing } from '../revocation/redis-list.ts';
import { createRedisPool } from '../shared-redis/redis-pool.ts';
import type { ProbedRedis, SharedRedis } from '../shared-redis/shared-redis.ts';
import { printRemark } from './output.ts';
import { humanDuration } from './times.ts';

/**
 * @param command for the message: `block`
 * @throws Error when the config has no cache.redis, which says what to do instead
 */
export function needCacheRedis({ cache, file, lockout }: GatewayConfig, command: string): void {
  if (cache.redis !== undefined) return;
  if (command === 'lockouts' || command === 'unlock') {
    throw new Error(
      `${command} needs cache.redis, and ${file} has none. Each gateway process counts refused tries by itself, ` +
        'in its memory, and no command reaches them. A count ends with lockout.window ' +
        `(${humanDuration(lockout.window)}) after the last refused try, or with a restart of that process`,
    );
  }
  throw new Error(
    `${command} needs cache.redis, through which the gateways learn of it, and ${file} has none: add it (docs/configuration.md). ` +
      'Until then, revoke works for issued tokens, and the backend for its users; ' +
      'a restart empties the memory of a gateway',
  );
}

/** Opens a connection, does `work` with it, and closes it. */
export async function withCacheRedis<Result>(
  { cache, baseDirectory }: Pick<GatewayConfig, 'cache' | 'baseDirectory'>,
  work: (redis: ProbedRedis) => Promise<Result>,
): Promise<Result> {
  if (cache.redis === undefined) throw new Error('the config has no cache.redis');
  // The level is `error`, since a failure is thrown as well, and then printed as a sentence rather than a line of JSON.
  const pool = createRedisPool({ logger: await createLogger('error'), onError: () => undefined });
  const lease = await pool.acquire(cache.redis, baseDirectory);
  try {
    return await work(lease.redis);
  } finally {
    await lease.release();
  }
}

/**
 * Reads the revocation list once, as a gateway of this config would. Prints a remark when it can't read the list, or not
 * all of it.
 */
export async function readBlocks(
  redis: ProbedRedis | undefined,
): Promise<{ readonly blocks: RevocationList; readonly isRead: boolean }> {
  let now = Date.now();
  const blocks = createRevocationList(() => now, Date.now);
  if (redis === undefined) return { blocks, isRead: false };
  try {
    const listing = await readListing(redis);
    now = listing.now;
    blocks.merge(listing.entries);
    if (listing.unreadable > 0) {
      printRemark(
        `${listing.unreadable} entries can't be opened, so not all blocks are known: are the sealing keys the same everywhere?`,
      );
    }
    return { blocks, isRead: true };
  } catch (error) {
    printRemark(`who is blocked or locked out could not be read: ${causeOf(error)}`);
    return { blocks, isRead: false };
  }
}

/** Creates a lockout guard that knows of no counts but its own, for commands that try no password. */
export function localAttempts({ lockout }: { readonly lockout: LockoutConfig }): LockoutGuard {
  return createAttempts(() => lockout, { now: () => performance.now() });
}

/**
 * Creates a lockout guard that joins the others as one more replica. It refuses what the running gateways would refuse, and
 * adds nothing to their counts then. A password that is sent and refused counts, since the directory has counted it, too.
 *
 * @param redis left out: it knows of no counts but its own
 * @returns the guard, and `written`, which resolves when the results of its tries are written
 */
export function joinAttempts(
  lockout: LockoutConfig,
  redis: ProbedRedis | undefined,
): { readonly attempts: LockoutGuard; written(): Promise<void> } {
  const writes: Promise<unknown>[] = [];
  const shared: SharedRedis | undefined = redis && {
    ...redis,
    get isDown() {
      return redis.isDown;
    },
    send: (use, work) => writes.push(redis.probe(use, work).catch(() => undefined)),
  };
  return {
    attempts: createAttempts(() => lockout, { now: () => performance.now(), shared: () => shared }),
    async written() {
      await Promise.all(writes);
    },
  };
}
