import type { Logger } from '@sallyport/authenticator';

/** The milliseconds between two lines of a kind. */
const interval = 10_000;

/**
 * Limits how many similar lines are written, where an outage or a client that sends rubbish would make thousands a
 * second: of each kind one line in 10 s is written.
 *
 * @param now monotonic milliseconds
 * @returns undefined if this line is not to be written; otherwise the number of lines of its kind that were not,
 *   since the last
 */
export function createLogLimiter(now: () => number): (kind: string) => number | undefined {
  const lastLogged = new Map<string, { at: number; skipped: number }>();
  return (kind) => {
    const last = lastLogged.get(kind);
    if (last !== undefined && now() - last.at < interval) {
      last.skipped += 1;
      return undefined;
    }
    lastLogged.set(kind, { at: now(), skipped: 0 });
    return last?.skipped ?? 0;
  };
}

/**
 * Makes a log of similar lines: of each kind, one line in 10 s is written at `level`, with the number of its kind since the last one.
 * The other lines are written at `debug`.
 *
 * @param now monotonic milliseconds
 */
export function createLimitedLog<Level extends 'warn' | 'error'>(
  logger: Pick<Logger, Level | 'debug'>,
  now: () => number,
  level: Level,
): (kind: string, fields: object, message: string) => void {
  const limit = createLogLimiter(now);
  return (kind, fields, message) => {
    const unloggedSince = limit(kind);
    if (unloggedSince === undefined) logger.debug(fields, message);
    else logger[level]({ ...fields, ...(unloggedSince > 0 && { unloggedSince }) }, message);
  };
}
