import type { Logger } from '@sallyport/authenticator';
import { createLimitedLog } from '../base/logging/log-limiter.ts';
import { digestToken, shortDigest } from '../engine/revocation/list.ts';
import type { Session } from '../engine/sessions/session-text.ts';

/** The requests of the login server. Any other request is `none`. */
export const loginActions = [
  'login',
  'begin',
  'page',
  'page-login',
  'provider',
  'provider-login',
  'page-factor',
  'confirm',
  'redeem',
  'begin-factor',
  'add-factor',
  'change-factors',
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
 * What audit trail, log and metrics learn of one request to the login server. Each step adds what it finds out, so that the facts
 * are there even if a later step fails. They contain no password.
 */
export interface LoginFacts {
  /** What the request is for. A route sets it, and a step that finds out that it is for something else. */
  action: LoginAction;
  /** The name that the client gives its machine, if it gives one. */
  device?: string | undefined;
  /** The cluster of a login that has no session yet. */
  cluster?: string | undefined;
  /** The authenticator that decided about a login, or could not check it. */
  authenticator?: string | undefined;
  /** The provider of a login in a browser. */
  provider?: string | undefined;
  /** Why a login was refused. It reaches no client. */
  reason?: string | undefined;
  /** The user of a refused login, as the backend knows them. */
  subject?: string | undefined;
  /** The user of a login that has no session yet, as Kubernetes sees them. */
  username?: string | undefined;
  /** The method by which the user proved their second factor, or which they added. */
  factor?: string | undefined;
  /** Who invited the user to add a second factor. */
  invitedBy?: string | undefined;
  /** The session that was made, or that the request came with. */
  session?: Session | undefined;
  /** The token of that session. It is written nowhere: the audit trail makes a fingerprint of it immediately. */
  token?: string | undefined;
  /** How many sessions a logout has ended. */
  ended?: number | undefined;
}

/** Begins the facts about a request of which no route is known yet. */
export function beginFacts(): LoginFacts {
  return { action: 'none' };
}

/** Adds what a step has found out. */
export function addFacts(facts: LoginFacts, added: Partial<LoginFacts>): void {
  Object.assign(facts, added);
}

/** The reason of a login in which the password was right, and the second factor is still missing. */
export const requiredReason = 'second-factor-required';

/** The reason of a login that failed at a provider, such as an answer that is not for this login. */
const failedAtProvider = 'provider-failed';

/** The requests in which someone proves who they are. */
export const proofActions: ReadonlySet<LoginAction> = new Set([
  'login',
  'page-login',
  'provider-login',
]);

/** The requests that decide about a login. A browser makes others as well, such as for the page. */
const decidingActions: ReadonlySet<LoginAction> = new Set([
  ...proofActions,
  'page-factor',
  'confirm',
  'redeem',
  'begin-factor',
  'add-factor',
  'change-factors',
]);

/**
 * The outcomes of a request. `refused` is 401, `limited` is 429, `unavailable` is 503, and `invalid` is any other 4xx, but for
 * a login that failed at a provider: it is `refused`, whatever the status of its page.
 * `gone` means that the client hung up before anything was decided. `error` is a bug. `incomplete`: the password was right, and
 * the second factor is still missing.
 */
export const loginOutcomes = [
  'ok',
  'incomplete',
  'refused',
  'limited',
  'unavailable',
  'gone',
  'invalid',
  'error',
] as const;
export type LoginOutcome = (typeof loginOutcomes)[number];

/** A request to the login server that was answered. */
export interface AnsweredRequest extends Readonly<LoginFacts> {
  /** When the request came: wall clock, milliseconds since 1970. */
  readonly at: number;
  readonly seconds: number;
  readonly outcome: LoginOutcome;
  readonly address: string;
}

/** The report of one request: its facts, and what observers need to know about them. */
interface LoginReport extends AnsweredRequest {
  /** Whether someone proves who they are with it. */
  readonly isProof: boolean;
  /** Whether it decides about a login. */
  readonly isDecision: boolean;
  /** The description for log lines and the audit trail. */
  readonly details: ReturnType<typeof describeLogin>;
}

/** Logs, counts or records a request. It is called once for each, right before its answer is sent. */
export type OnLogin = (report: LoginReport) => void;

/**
 * Returns the outcome of a status.
 *
 * @param isGone whether the client has hung up, so that work was given up
 * @param reason of {@link LoginFacts}
 */
export function findOutcome(status: number, isGone: boolean, reason?: string): LoginOutcome {
  if (reason === requiredReason && (status < 400 || status === 401)) return 'incomplete';
  if (status < 400) return 'ok';
  if (status === 401 || reason === failedAtProvider) return 'refused';
  if (status === 429) return 'limited';
  if (status === 503) return isGone ? 'gone' : 'unavailable';
  return status < 500 ? 'invalid' : 'error';
}

export function reportRequest(request: AnsweredRequest): LoginReport {
  return {
    ...request,
    isProof: proofActions.has(request.action),
    isDecision: decidingActions.has(request.action),
    details: describeLogin(request),
  };
}

/** Describes a request for log lines and the audit trail, by values that are ours, or that Kubernetes sees. */
export function describeLogin(
  facts: Omit<LoginFacts, 'action'> & Pick<AnsweredRequest, 'address'>,
) {
  const { authenticator, reason, subject, session, token, device, address, ended } = facts;
  const {
    name: provider = facts.provider,
    acr,
    amr = session?.amr,
    authTime,
  } = session?.provider ?? {};
  return {
    authenticator: session?.authenticator ?? authenticator,
    provider,
    username: session?.name ?? facts.username,
    subject,
    reason,
    session: session && token ? shortDigest(digestToken(token)) : undefined,
    factor: facts.factor,
    invitedBy: facts.invitedBy,
    acr,
    amr,
    authTime: authTime === undefined ? undefined : new Date(authTime).toISOString(),
    cluster: session?.cluster ?? facts.cluster,
    device: session?.device ?? device,
    address,
    ended,
  };
}

/** The outcomes of a request that was decided. */
const decided: ReadonlySet<LoginOutcome> = new Set(['ok', 'incomplete', 'refused']);

/**
 * Writes a log line for each request: `info` for what decides about a login and for logouts, and `debug` for all others. A
 * request that could not be answered is a warning, at most every 10 s.
 *
 * @param now reads monotonic milliseconds
 */
export function createLoginLog(logger: Logger, now: () => number): OnLogin {
  const warn = createLimitedLog(logger, now, 'warn');
  return (report) => {
    const { action, outcome, isDecision, details, seconds } = report;
    const fields = { action, outcome, ...details, seconds };
    if (outcome === 'unavailable' || outcome === 'limited') {
      warn(outcome, fields, 'login request not answered');
      return;
    }
    const isActed = isDecision || report.ended !== undefined;
    logger[isActed && decided.has(outcome) ? 'info' : 'debug'](fields, 'login request');
  };
}

/**
 * Creates loggers for the work of single requests. A client that hangs up makes this work fail, which is not a warning.
 * And while a backend is down, any client could write a line with each request.
 */
export function createRequestLogs(
  logger: Logger,
  now: () => number,
): (isGone: () => boolean) => Logger {
  const warn = createLimitedLog(logger, now, 'warn');
  return (isGone) => ({
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    error: (fields, message) => logger.error(fields, message),
    warn(fields, message) {
      const { authenticator = '' } = fields as { readonly authenticator?: string };
      if (isGone()) logger.debug(fields, message);
      else warn(`${message} ${authenticator}`, fields, message);
    },
  });
}
