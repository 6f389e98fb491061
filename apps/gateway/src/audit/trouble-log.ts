import type { Logger } from 'pino';
import { errorFields } from '../logging/error-fields.ts';

/** Says in the log what becomes of the trail while it can't be written. */
export interface TroubleLog {
  /** A line was dropped. */
  dropped(): void;
  /** A write failed. */
  failed(error: Error): void;
  /** All is written. */
  recovered(): void;
  /** The trail ends, whatever became of it: the next one begins anew. */
  ended(): void;
}

/** A full disk drops thousands of lines a second: one line in this many milliseconds says so. */
const interval = 10_000;

/** @param now monotonic milliseconds */
export function createTroubleLog(logger: Logger, now: () => number): TroubleLog {
  let toldAt = Number.NEGATIVE_INFINITY;
  let isTold = false;
  let since = 0;
  let total = 0;
  let code: string | undefined;

  function tell(): void {
    if (now() - toldAt < interval) return;
    toldAt = now();
    isTold = true;
    const fields = { dropped: since, ...(code !== undefined && { code }) };
    since = 0;
    logger.warn(fields, 'the audit trail can not be written fast enough, or not at all: lines wait, or are dropped');
  }

  function reset(): void {
    code = undefined;
    isTold = false;
    since = 0;
    total = 0;
  }

  return {
    dropped() {
      since += 1;
      total += 1;
      tell();
    },
    failed(error) {
      code = errorFields(error).code ?? error.name;
      tell();
    },
    recovered() {
      code = undefined;
      if (!isTold) return;
      logger.info({ dropped: total }, 'the audit trail goes on: all that waited is written');
      reset();
    },
    ended: reset,
  };
}
