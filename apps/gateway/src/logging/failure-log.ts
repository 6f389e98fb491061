import { AuthenticatorError } from '@sallyport/authenticator';
import type { Logger } from 'pino';
import type { Answer } from '../chain/answer.ts';
import { errorFields, withoutToken } from './error-fields.ts';
import { createLogLimiter } from './log-limiter.ts';

/**
 * Logs why an authenticator could not check, also where an earlier answer of its stood in: a warning at most every 10 s
 * for each authenticator and kind of error, with how many were like it since; the others at `debug`. Whoever has tokens of
 * their own fail all the time must not keep the reason of an outage out of the log.
 *
 * @param now monotonic milliseconds
 */
export function createFailureLog(logger: Logger, now: () => number): (answer: Answer, token: string) => void {
  const limit = createLogLimiter(now);
  return (answer, token) => {
    const error = 'error' in answer ? answer.error : answer.failure;
    if (error === undefined) return;
    const { authenticator, seconds } = answer;
    const stale = 'error' in answer ? {} : { cached: 'stale' };
    const { message, ...others } = errorFields(error);
    // It must not be there; should a plugin have put it there all the same, it goes no further.
    const reason = message === undefined ? {} : { reason: withoutToken(message, token) };
    const fields = { authenticator, seconds, ...others, ...reason, ...stale };
    // In an outage every review fails alike.
    const kind = AuthenticatorError.is(error) ? error.code : 'bug';
    const unloggedSince = limit(`${authenticator} ${kind}`);
    if (unloggedSince === undefined) {
      logger.debug(fields, 'authenticator could not check a token');
      return;
    }
    logger.warn({ ...fields, ...(unloggedSince > 0 && { unloggedSince }) }, 'authenticator could not check a token');
  };
}
