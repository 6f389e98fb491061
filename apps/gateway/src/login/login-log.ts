import type { Logger } from '@sallyport/authenticator';
import { createLogLimiter } from '../logging/log-limiter.ts';
import { digestOf } from '../revocation/list.ts';
import type { RefusedSession } from '../sessions/with-sessions.ts';
import type { LoginReport, OnLogin } from './login-report.ts';

/** The digits by which `token list` shows a token. */
const shortDigest = 12;

/** What log lines and the audit trail say of a request, by values that are ours, or that Kubernetes sees. */
export function detailsOf(report: LoginReport) {
  const { authenticator, reason, subject, session, token, device, address, ended } = report;
  return {
    authenticator: session?.authenticator ?? authenticator,
    username: session?.name,
    subject,
    reason,
    session: session && token ? digestOf(token).slice(0, shortDigest) : undefined,
    cluster: session?.cluster,
    device: session?.device ?? device,
    address,
    ended,
  };
}

/** The same of a session that was refused because of its user. */
export function refusalDetails({ session, token, reason }: RefusedSession) {
  const { authenticator, name: username, cluster, device, address } = session;
  const digest = digestOf(token).slice(0, shortDigest);
  return { authenticator, username, reason, session: digest, cluster, device, address };
}

/**
 * Writes a log line for each login and logout: `info`, and `debug` for all other requests. One that could not be answered is
 * a warning, at most every 10 s.
 *
 * @param now monotonic milliseconds
 */
export function createLoginLog(logger: Logger, now: () => number): OnLogin {
  const limit = createLogLimiter(now);
  return (report) => {
    const { action, outcome, seconds } = report;
    const fields = { action, outcome, ...detailsOf(report), seconds };
    if (outcome === 'unavailable' || outcome === 'limited') {
      const unloggedSince = limit(outcome);
      const level = unloggedSince === undefined ? 'debug' : 'warn';
      logger[level]({ ...fields, ...(unloggedSince ? { unloggedSince } : {}) }, 'login request not answered');
      return;
    }
    const isActed = action === 'login' || report.ended !== undefined;
    logger[isActed && (outcome === 'ok' || outcome === 'refused') ? 'info' : 'debug'](fields, 'login request');
  };
}
