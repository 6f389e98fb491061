import type { Logger } from '@sallyport/authenticator';
import { createLogLimiter } from '../../base/logging/log-limiter.ts';

/** The effects of being cut off, by what a replica knows of the list. */
const consequences = {
  read: 'cached answers are used for 10s at most, stale ones while their backend is down, and known blocks stay in force',
  unknown:
    'it was not read since the start, so it is not known who is blocked, and no one is let in',
  ignored: 'it was not read since the start, so blocked users are let in',
};

/** The effects of a Redis without a list. */
const effects = {
  unknown:
    'it is not known who is blocked, and no one is let in, until a gateway that ran before reaches it. If this Redis is new, run "sallyport revoke --all", which revokes no token',
  ignored: 'blocked users are let in, as cache.redis.startWithoutBlocks says',
};

type ReaderState = 'read' | 'cut off' | 'no list';

/** Logs each state once, when it begins and when it ends. @param now monotonic milliseconds */
export function createReaderLog(logger: Pick<Logger, 'warn' | 'info'>, now: () => number) {
  const limit = createLogLimiter(now);
  let reason = 'not read yet';
  let last: ReaderState = 'read';
  let lastUnreadable = 0;
  return {
    /** Remembers why the list could not be read. */
    failed(error: unknown) {
      reason = error instanceof Error ? error.message : 'unknown';
    },
    /** @param knowledge see {@link consequences} */
    state(state: ReaderState, knowledge: keyof typeof consequences) {
      if (state === last) return;
      last = state;
      if (state === 'cut off')
        logger.warn({ reason }, `cut off from the revocation list: ${consequences[knowledge]}`);
      else if (state === 'no list')
        logger.warn(
          {},
          `the cache Redis has no revocation list, since it is new or lost its data: ${effects[knowledge === 'ignored' ? knowledge : 'unknown']}`,
        );
      else logger.info({}, 'the revocation list is read again');
    },
    unreadable(entries: number) {
      if (entries === lastUnreadable) return;
      lastUnreadable = entries;
      if (entries === 0) return;
      const fix =
        'set the same cache.redis.sealingKeys on every replica; if they are the same, run "sallyport check"';
      logger.warn(
        { entries },
        `entries of the revocation list can't be opened and have no effect here: ${fix}`,
      );
    },
    /** Logs that keys of another type were removed, at most once in 10 s. */
    foreign(keys: number) {
      const unloggedSince = limit('foreign');
      if (unloggedSince === undefined) return;
      const fix = 'find out which other client writes to this Redis';
      logger.warn(
        { keys, ...(unloggedSince > 0 && { unloggedSince }) },
        `removed keys of another type in the place of the revocation list, which is written back: ${fix}`,
      );
    },
  };
}
