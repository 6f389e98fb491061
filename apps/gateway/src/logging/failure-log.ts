import type { Logger } from 'pino';
import type { Answer } from '../chain/answer.ts';
import { errorFields } from './error-fields.ts';
import { withoutToken } from './without-token.ts';

/** In an outage every review fails alike: one line in this many milliseconds says so for each authenticator. */
const interval = 10_000;

/**
 * Logs why an authenticator could not check, also where an earlier answer of its stood in: a warning at most every 10 s
 * for each, with how many were like it since; the others at `debug`.
 *
 * @param now monotonic milliseconds
 */
export function createFailureLog(logger: Logger, now: () => number): (answer: Answer, token: string) => void {
  const told = new Map<string, { at: number; since: number }>();
  return (answer, token) => {
    const error = 'error' in answer ? answer.error : answer.failure;
    if (error === undefined) return;
    const { authenticator, seconds } = answer;
    const stale = 'error' in answer ? {} : { cached: 'stale' };
    const last = told.get(authenticator);
    const { message, ...others } = errorFields(error);
    // It must not be there; should a plugin have put it there all the same, it goes no further.
    const reason = message === undefined ? {} : { reason: withoutToken(message, token) };
    const fields = { authenticator, seconds, ...others, ...reason, ...stale };
    if (last !== undefined && now() - last.at < interval) {
      last.since++;
      logger.debug(fields, 'authenticator could not check a token');
      return;
    }
    told.set(authenticator, { at: now(), since: 0 });
    const more = last !== undefined && last.since > 0 ? { unloggedSince: last.since } : {};
    logger.warn({ ...fields, ...more }, 'authenticator could not check a token');
  };
}
