import type { PluginContext } from '@sallyport/authenticator';
import type { Connection } from '@sallyport/redis-connection';
import { LRUCache } from 'lru-cache';
import type { Keys } from './keys.ts';

/** Tokens of which it is remembered that their use was noted. Beyond, some are noted more often than need be. */
const mostRemembered = 50_000;

/** Milliseconds for which the note on a token without an end is kept: longer than anybody looks back. */
const longestKept = 400 * 86_400_000;

export interface UseNoteDependencies {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly logger: PluginContext['logger'];
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * Notes in Redis when a token was used, and never keeps anybody waiting for it. What can't be written is not tried
 * again before the next use.
 *
 * @param interval milliseconds: one token is noted so often at most
 * @returns what to call at each use, with the end of the token if it has one, milliseconds since 1970
 */
export function createUseNotes(
  interval: number,
  { connection, keys, logger, now }: UseNoteDependencies,
): (digest: string, end: number | undefined) => void {
  const noted = new LRUCache<string, true>({ max: mostRemembered, ttl: interval });
  const never = new AbortController().signal;
  let isFailing = false;

  async function write(digest: string, end: number | undefined): Promise<void> {
    const time = now();
    const kept = end === undefined ? longestKept : Math.max(1, end - time);
    try {
      await connection.run(
        (client) => client.set(keys.lastUse(digest), new Date(time).toISOString(), 'PX', kept),
        never,
      );
      isFailing = false;
    } catch (error) {
      noted.delete(digest);
      if (!isFailing) logger.warn({ problem: String(error) }, 'the last use of tokens can not be noted (trackLastUse)');
      isFailing = true;
    }
  }

  return (digest, end) => {
    if (noted.has(digest)) return;
    noted.set(digest, true);
    void write(digest, end);
  };
}
