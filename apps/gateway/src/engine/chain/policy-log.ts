import type { Logger } from '@sallyport/authenticator';
import { createLogLimiter } from '../../base/logging/log-limiter.ts';
import type { PolicyLog } from './identity-policy.ts';

/**
 * Logs users whom the identity policy refuses: a warning at most every 10 s for each authenticator and rule, with the number of
 * those since the last one; the others at `debug`. One user whose name breaks a rule could otherwise fill the log.
 *
 * @param now monotonic milliseconds
 */
export function createPolicyLog(
  logger: Pick<Logger, 'warn' | 'debug'>,
  now: () => number,
): PolicyLog {
  const limit = createLogLimiter(now);
  return (authenticator, subject, violation) => {
    // The number of groups, with which one of the rules begins, differs from user to user.
    const unloggedSince = limit(`${authenticator} ${violation.rule.replace(/^\d+ /, '')}`);
    const fields = { authenticator, subject, ...violation };
    if (unloggedSince === undefined) logger.debug(fields, 'identity refused by policy');
    else
      logger.warn(
        { ...fields, ...(unloggedSince > 0 && { unloggedSince }) },
        'identity refused by policy',
      );
  };
}
