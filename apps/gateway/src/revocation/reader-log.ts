import type { Logger } from '@sallyport/authenticator';
import { createLogLimiter } from '../logging/log-limiter.ts';

/** Reports each state once, when it begins and when it ends. */
export interface ReaderLog {
  /** Why the list could not be read. */
  failed(error: unknown): void;
  cutOff(isCutOff: boolean): void;
  unreadable(entries: number): void;
  /** Keys of another type were removed. One line in 10 s. */
  foreign(keys: number): void;
}

/** @param now monotonic milliseconds */
export function createReaderLog(logger: Pick<Logger, 'warn' | 'info'>, now: () => number): ReaderLog {
  const limit = createLogLimiter(now);
  let reason = 'it was not read yet';
  let wasCutOff = false;
  let lastUnreadable = 0;
  return {
    failed(error) {
      reason = error instanceof Error ? error.message : 'unknown';
    },
    cutOff(isCutOff) {
      if (isCutOff === wasCutOff) return;
      wasCutOff = isCutOff;
      const consequence = 'cached answers are used for 10 s at most, and blocks that are known are kept';
      if (isCutOff) logger.warn({ reason }, `cut off from the revocation list: ${consequence}`);
      else logger.info({}, 'the revocation list is read again');
    },
    unreadable(entries) {
      if (entries === lastUnreadable) return;
      lastUnreadable = entries;
      if (entries === 0) return;
      const mend = 'are cache.redis.sealingKeys the same everywhere?';
      logger.warn(
        { entries },
        `entries of the revocation list can't be opened, so whom they stop is not known: ${mend}`,
      );
    },
    foreign(keys) {
      const unloggedSince = limit('foreign');
      if (unloggedSince === undefined) return;
      const advice = 'find out which other client writes to this Redis';
      logger.warn(
        { keys, ...(unloggedSince > 0 && { unloggedSince }) },
        `removed keys of another type in the place of the revocation list, which is written back: ${advice}`,
      );
    },
  };
}
