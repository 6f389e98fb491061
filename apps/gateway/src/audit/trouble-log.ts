import type { Logger } from 'pino';
import { errorFields } from '../logging/error-fields.ts';

/** Logs what becomes of the trail while it cannot be written. */
export interface TroubleLog {
  /** A line was dropped. */
  dropped(): void;
  /** A write failed. */
  failed(error: Error): void;
  /** All is written. */
  recovered(): void;
  /** The trail was closed: the next one begins without a trouble. */
  ended(): void;
}

/** A full disk drops thousands of lines a second: it is logged once in this many milliseconds. */
const interval = 10_000;

/** @param now monotonic milliseconds */
export function createTroubleLog(logger: Logger, now: () => number): TroubleLog {
  let loggedAt = Number.NEGATIVE_INFINITY;
  let isLogged = false;
  let since = 0;
  let total = 0;
  let code: string | undefined;

  function log(): void {
    if (now() - loggedAt < interval) return;
    loggedAt = now();
    isLogged = true;
    const fields = { dropped: since, ...(code !== undefined && { code }) };
    since = 0;
    logger.warn(fields, 'audit lines wait or are dropped: the output is full, fails or is too slow');
  }

  function reset(): void {
    code = undefined;
    isLogged = false;
    since = 0;
    total = 0;
  }

  return {
    dropped() {
      since += 1;
      total += 1;
      log();
    },
    failed(error) {
      code = errorFields(error).code ?? error.name;
      log();
    },
    recovered() {
      code = undefined;
      if (!isLogged) return;
      logger.info({ dropped: total }, 'audit trail recovered: all waiting lines are written');
      reset();
    },
    ended: reset,
  };
}
