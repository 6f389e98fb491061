import type { Logger } from '@sallyport/authenticator';

/** Says each thing once, when it begins and when it ends. */
export interface ReaderLog {
  /** Why the list could not be read. */
  failed(error: unknown): void;
  cutOff(isCutOff: boolean): void;
  unreadable(entries: number): void;
}

export function createReaderLog(logger: Pick<Logger, 'warn' | 'info'>): ReaderLog {
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
  };
}
