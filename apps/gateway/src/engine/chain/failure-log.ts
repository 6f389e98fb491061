import { AuthenticatorError } from '@sallyport/authenticator';
import type { Logger } from 'pino';
import { errorFields, withoutToken } from '../../base/logging/error-fields.ts';
import { createLimitedLog } from '../../base/logging/log-limiter.ts';
import type { Answer } from './chain.ts';

/** The parts of a review that are logged. */
interface ReviewAnswers {
  readonly answers: readonly Answer[];
  readonly token: string | undefined;
}

/**
 * Logs why authenticators could not check, even if an earlier answer was used instead: a warning at most every 10 s
 * for each authenticator and kind of error, with the number of those since the last one; the others at `debug`. The kind
 * counts because someone whose own tokens fail all the time must not keep the reason of an outage out of the log.
 */
export function createFailureLog(
  logger: Logger,
  now: () => number,
): (review: ReviewAnswers) => void {
  const warn = createLimitedLog(logger, now, 'warn');
  const log = (answer: Answer, token: string | undefined) => {
    const error = 'error' in answer ? answer.error : answer.failure;
    if (error === undefined) return;
    const { authenticator, seconds } = answer;
    const stale = 'error' in answer ? {} : { cached: 'stale' };
    const { message, ...details } = errorFields(error);
    // A plugin must not put the token there. If it does, the token goes no further.
    const reason = message === undefined ? {} : { reason: withoutToken(message, token) };
    const fields = { authenticator, seconds, ...details, ...reason, ...stale };
    const kind = AuthenticatorError.is(error) ? error.code : 'bug';
    warn(`${authenticator} ${kind}`, fields, 'authenticator could not check a token');
  };
  return ({ answers, token }) => {
    for (const answer of answers) log(answer, token);
  };
}
