import type { Logger } from '@sallyport/authenticator';
import { createLimitedLog } from '../../base/logging/log-limiter.ts';
import type { PolicyLog } from './identity-policy.ts';

/**
 * Logs users that the identity policy refuses: a warning at most every 10 s for each authenticator and rule, with the number of
 * refusals since the last one; the others at `debug`. One user whose name breaks a rule could otherwise fill the log.
 *
 * @param now monotonic milliseconds
 */
export function createPolicyLog(
  logger: Pick<Logger, 'warn' | 'debug'>,
  now: () => number,
): PolicyLog {
  const warn = createLimitedLog(logger, now, 'warn');
  return (authenticator, subject, violation) => {
    // The number of groups, with which one of the rules begins, differs from user to user.
    const kind = `${authenticator} ${violation.rule.replace(/^\d+ /, '')}`;
    warn(kind, { authenticator, subject, ...violation }, 'identity refused by policy');
  };
}
