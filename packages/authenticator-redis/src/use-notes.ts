import type { Logger } from '@sallyport/authenticator';
import { LRUCache } from 'lru-cache';
import type { Store } from './store.ts';

/** The number of tokens whose last note is remembered. Beyond it, some are noted more often than necessary. */
const mostRemembered = 50_000;

/** Milliseconds for which the note on a token without an end is stored: longer than anyone looks back. */
const longestStored = 400 * 86_400_000;

/**
 * Notes in Redis when a token was used, without delaying the login. A note that can't be written is tried again at the
 * next use.
 *
 * @param interval milliseconds: the shortest time between two notes on a token
 * @returns a function to call at each use, with the end of the token in milliseconds since 1970
 */
export function createUseNotes(
  interval: number,
  { connection, keys, now }: Pick<Store, 'connection' | 'keys' | 'now'>,
  logger: Logger,
): (digest: string, end: number | undefined) => void {
  const noted = new LRUCache<string, true>({ max: mostRemembered, ttl: interval });
  const never = new AbortController().signal;
  let isFailing = false;

  async function write(digest: string, end: number | undefined): Promise<void> {
    const time = now();
    const lifetime = end === undefined ? longestStored : Math.max(1, end - time);
    try {
      await connection.run(
        (client) => client.set(keys.lastUse(digest), new Date(time).toISOString(), 'PX', lifetime),
        never,
      );
      isFailing = false;
    } catch (error) {
      noted.delete(digest);
      if (!isFailing) logger.warn({ problem: String(error) }, 'cannot note the last use of tokens (trackLastUse)');
      isFailing = true;
    }
  }

  return (digest, end) => {
    if (noted.has(digest)) return;
    noted.set(digest, true);
    void write(digest, end);
  };
}
