import type { Logger } from '@sallyport/authenticator';
import type { RedisClient } from '@sallyport/redis-connection';
import { LRUCache } from 'lru-cache';
import type { FoundRecord, Store } from './store.ts';

/** The number of tokens whose last note is remembered. If there are more, some are noted more often than necessary. */
const maxRemembered = 50_000;

/** Milliseconds for which the note on a token without an end is stored: longer than anyone looks back. */
const maxNoteLifetime = 400 * 86_400_000;

/** The part of its idle time that passes before a use extends it: a session may end this much sooner. */
const slack = 1 / 20;

type UsedStore = Pick<Store, 'connection' | 'keys' | 'now'>;

/**
 * Notes in Redis when a token was used, without delaying the login. A note that can't be written is tried again at the
 * next use.
 *
 * @param interval milliseconds: the minimum time between two notes on a token
 * @returns a function to call at each use, with the end of the token in milliseconds since 1970
 */
export function createUseNotes(
  interval: number,
  { connection, keys, now }: UsedStore,
  logger: Logger,
): (digest: string, end: number | undefined) => void {
  // `max` would allocate all slots immediately.
  const noted = new LRUCache<string, true>({
    maxSize: maxRemembered,
    sizeCalculation: () => 1,
    ttl: interval,
  });
  const write = createWriter(
    connection,
    logger,
    "can't note the last use of tokens (trackLastUse)",
  );

  return (digest, end) => {
    if (noted.has(digest)) return;
    noted.set(digest, true);
    const time = now();
    const lifetime = end === undefined ? maxNoteLifetime : Math.max(1, end - time);
    const note = new Date(time).toISOString();
    void write((client) => client.set(keys.lastUse(digest), note, 'PX', lifetime)).then(
      (isWritten) => {
        if (!isWritten) noted.delete(digest);
      },
    );
  };
}

/**
 * Extends the time to live of a session that is used, without delaying the login. A failure is tried again at the next use.
 *
 * @returns a function to call at each use of a session
 */
export function createSessionExtender(
  { connection, keys, now }: UsedStore,
  logger: Logger,
): (digest: string, stored: FoundRecord) => void {
  const inProgress = new Set<string>();
  const write = createWriter(
    connection,
    logger,
    "can't extend sessions in use: they expire as idle",
  );

  return (digest, { record: { idle }, keyExpiresAt }) => {
    if (idle === undefined || keyExpiresAt === undefined || inProgress.has(digest)) return;
    if (keyExpiresAt - now() >= idle * (1 - slack)) return;
    inProgress.add(digest);
    void write((client) => client.pexpire(keys.record(digest), idle)).then(() =>
      inProgress.delete(digest),
    );
  };
}

/** @returns a function that runs commands, and never rejects. It logs the first of several failures in a row */
function createWriter({ run }: Store['connection'], logger: Logger, warning: string) {
  let isFailing = false;
  return async (commands: (client: RedisClient) => Promise<unknown>): Promise<boolean> => {
    try {
      await run(commands, undefined);
      isFailing = false;
    } catch (error) {
      if (!isFailing) logger.warn({ problem: String(error) }, warning);
      isFailing = true;
    }
    return !isFailing;
  };
}
