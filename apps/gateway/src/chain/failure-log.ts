import { AuthenticatorError } from '@sallyport/authenticator';
import type { Logger } from 'pino';
import { errorFields, withoutToken } from '../logging/error-fields.ts';
import { createLogLimiter } from '../logging/log-limiter.ts';
import type { Answer } from './answer.ts';

/**
 * Logs why an authenticator could not check a token, also where an earlier answer was used instead: for each
 * authenticator and kind of error at most one warning in 10 s, with the number of similar ones since; the others at
 * `debug`. The kinds are separate, so that a client whose tokens fail all the time cannot keep the reason of an outage
 * out of the log.
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
    // A plugin must not put the token into a message. If one does, the token is removed here.
    const reason = message === undefined ? {} : { reason: withoutToken(message, token) };
    const fields = { authenticator, seconds, ...others, ...reason, ...stale };
    const kind = AuthenticatorError.is(error) ? error.code : 'bug';
    const unloggedSince = limit(`${authenticator} ${kind}`);
    if (unloggedSince === undefined) {
      logger.debug(fields, 'authenticator could not check a token');
      return;
    }
    logger.warn({ ...fields, ...(unloggedSince > 0 && { unloggedSince }) }, 'authenticator could not check a token');
  };
}
