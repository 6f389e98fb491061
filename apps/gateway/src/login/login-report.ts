import type { Logger } from '@sallyport/authenticator';
import { createLogLimiter } from '../logging/log-limiter.ts';
import { digestOf, shortDigest } from '../revocation/list.ts';
import type { Session } from '../sessions/session-text.ts';

/** The requests of the login server; `none`: any other. */
export const loginActions = [
  'login',
  'session',
  'sessions',
  'logout',
  'logout-everywhere',
  'clusters',
  'kubeconfig',
  'none',
] as const;
export type LoginAction = (typeof loginActions)[number];

/**
 * `refused`: 401. `limited`: 429. `unavailable`: 503. `gone`: the client hung up before anything was decided. `invalid`: any
 * other 4xx. `error`: a bug.
 */
export const loginOutcomes = ['ok', 'refused', 'limited', 'unavailable', 'gone', 'invalid', 'error'] as const;
export type LoginOutcome = (typeof loginOutcomes)[number];

/** What is reported of one request to the login server. It has no password. */
export interface LoginReport {
  /** When it came, wall clock milliseconds since 1970. */
  readonly at: number;
  readonly seconds: number;
  readonly action: LoginAction;
  readonly outcome: LoginOutcome;
  readonly address: string;
  /** As the client calls its machine, where it said so. */
  readonly device?: string | undefined;
  /** The authenticator that decided about a login, or could not. */
  readonly authenticator?: string | undefined;
  /** Why a login was refused. It reaches no client. */
  readonly reason?: string | undefined;
  /** The user of a refused login, as the backend knows them. */
  readonly subject?: string | undefined;
  /** The session that was made, or that the request came with. */
  readonly session?: Session | undefined;
  /** The token of that session. It is written nowhere: the audit trail makes a fingerprint of it, at once. */
  readonly token?: string | undefined;
  /** How many sessions a logout has ended. */
  readonly ended?: number | undefined;
}

/** Called once for each request, right before its answer is sent. */
export type OnLogin = (report: LoginReport) => void;

/** @param isGone the client has hung up, so that work was given up */
export function outcomeOf(status: number, isGone: boolean): LoginOutcome {
  if (status < 400) return 'ok';
  if (status === 401) return 'refused';
  if (status === 429) return 'limited';
  if (status === 503) return isGone ? 'gone' : 'unavailable';
  return status < 500 ? 'invalid' : 'error';
}

/** What log lines and the audit trail say of a request, by values that are ours, or that Kubernetes sees. */
export function detailsOf(report: Omit<LoginReport, 'at' | 'seconds' | 'action' | 'outcome'>) {
  const { authenticator, reason, subject, session, token, device, address, ended } = report;
  return {
    authenticator: session?.authenticator ?? authenticator,
    username: session?.name,
    subject,
    reason,
    session: session && token ? shortDigest(digestOf(token)) : undefined,
    cluster: session?.cluster,
    device: session?.device ?? device,
    address,
    ended,
  };
}

/**
 * Writes a log line for each login and logout: `info`, and `debug` for all other requests. One that could not be answered is
 * a warning, at most every 10 s.
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

/**
 * Creates loggers for the work of single requests. A client that hangs up makes this work fail, which is no warning; and while a
 * backend is down, any client could write a line with each request.
 */
export function createRequestLogs(logger: Logger, now: () => number): (isGone: () => boolean) => Logger {
  const limit = createLogLimiter(now);
  return (isGone) => ({
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    error: (fields, message) => logger.error(fields, message),
    warn(fields, message) {
      const { authenticator = '' } = fields as { readonly authenticator?: string };
      const unloggedSince = isGone() ? undefined : limit(`${message} ${authenticator}`);
      const level = unloggedSince === undefined ? 'debug' : 'warn';
      logger[level]({ ...fields, ...(unloggedSince && { unloggedSince }) }, message);
    },
  });
}
