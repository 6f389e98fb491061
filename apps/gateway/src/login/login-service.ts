import type { BlockList } from 'node:net';
import type { IssuedToken, Logger, TokenIssuer } from '@sallyport/authenticator';
import type { Link, LinkContext } from '../chain/chain.ts';
import type { LoginConfig } from '../config/types.ts';
import { asError, withoutToken } from '../logging/error-fields.ts';
import type { Session, SessionTexts } from '../sessions/session-text.ts';
import { LoginError, unavailable, wrongCredentials } from './login-error.ts';
import type { LoggedInUser, LoginLink } from './login-link.ts';
import type { LoginRequest } from './login-request.ts';

/** What the login server works with. It is made anew with each config. */
export interface LoginService {
  readonly config: LoginConfig;
  /** `login.trustedProxies` */
  readonly proxies: BlockList;
  /** Milliseconds for one request: `server.reviewTimeout`. */
  readonly timeout: number;
  /** In the order in which they are asked. */
  readonly links: readonly LoginLink[];
  /** That of `login.sessions` in the chain. */
  readonly sessions: Link;
  readonly issuer: TokenIssuer;
  readonly texts: SessionTexts;
  /** @returns undefined for an unknown cluster */
  readonly kubeconfig: (cluster: string) => string | undefined;
  /** What a failure of the issuer is logged as, without its secrets. */
  readonly problemOf: (error: unknown) => string;
  /** Keeps all of this open for a request in progress. */
  readonly hold: (work: Promise<unknown>) => void;
  readonly logger: Logger;
}

/** What is known of a login that has begun; for the audit trail, also where it fails. */
export interface LoginProgress {
  authenticator?: string;
  /** Of a refusal. It reaches no client. */
  reason?: string;
  /** The user who was refused, as the backend knows them. */
  subject?: string;
}

/** A login that succeeded. */
export interface NewSession {
  readonly token: string;
  readonly session: Session;
  readonly user: LoggedInUser['named'];
}

/** Where a request comes from, and how long it is waited for. */
export interface RequestOrigin {
  readonly address: string;
  readonly signal: AbortSignal;
}

/** @throws LoginError, also when a backend or the store of sessions could not be asked */
export async function logIn(
  service: LoginService,
  request: LoginRequest,
  { address, signal }: RequestOrigin,
  progress: LoginProgress,
): Promise<NewSession> {
  const { config, issuer, texts } = service;
  // Before the password is checked: one that is changed from here on ends the session.
  const since = Date.now();
  const cluster = chooseCluster(config, request.cluster);
  const [link, { given, named }] = await checkPassword(service, request, { audiences: [], signal }, progress);
  const { audience } = (cluster === undefined ? undefined : config.clusters[cluster]) ?? {};
  const until = since + config.ttl;
  const session: Session = {
    ...{ authenticator: link.name, username: given.username, uid: given.uid, name: named.username },
    ...{ since, until, cluster, audience, device: request.device, address },
  };
  try {
    const { token, issued } = await issuer.create(
      {
        user: { username: named.username },
        ...(audience !== undefined && { audiences: [audience] }),
        expiresAt: new Date(until),
        issuedBy: 'login',
        reason: request.device ?? address,
        session: { describe: (digest) => texts.write(digest, session), idle: config.idle },
      },
      signal,
    );
    // Such a token would be accepted nowhere.
    if (issued.session === undefined) throw new Error('its plugin has stored no session with the token');
    await revokeSurplus(service, named.username, signal);
    return { token, session, user: named };
  } catch (error) {
    throw storeFailed(service, error);
  }
}

/** Logs why the store of sessions failed. */
export function storeFailed({ logger, problemOf }: LoginService, error: unknown): LoginError {
  if (error instanceof LoginError) return error;
  logger.warn({ reason: problemOf(error) }, 'the store of sessions failed');
  return unavailable('the store of sessions');
}

/** @throws LoginError unless it is one of the config, or there is no choice */
function chooseCluster({ clusters }: LoginConfig, named: string | undefined): string | undefined {
  const names = Object.keys(clusters);
  if (named === undefined && names.length <= 1) return names[0];
  if (named !== undefined && names.includes(named)) return named;
  // Their names are no secret: GET /v1/clusters lists them.
  const [code, what] =
    named === undefined
      ? (['cluster-required', 'is missing'] as const)
      : (['unknown-cluster', 'is not known'] as const);
  throw new LoginError(
    400,
    code,
    `cluster ${what}: ${names.length === 0 ? 'there is none' : `write one of ${names.join(', ')}`}`,
  );
}

/**
 * Asks as the chain does: the first definite answer decides, and one that could not check is no refusal. Once one could not
 * check, a refusal of a later one is answered as an outage too: else it would show that the later one knows the name.
 */
async function checkPassword(
  { links, logger }: LoginService,
  { username, password }: LoginRequest,
  context: LinkContext,
  progress: LoginProgress,
): Promise<[LoginLink, LoggedInUser]> {
  let [isUnchecked, isChecked] = [false, false];
  for (const link of links) {
    try {
      const answer = await link.logIn(username, password, context);
      isChecked = true;
      if (answer.kind === 'no-opinion') continue;
      progress.authenticator = link.name;
      if (answer.kind === 'logged-in') return [link, answer];
      progress.reason = answer.reason;
      if (answer.subject !== undefined) progress.subject = answer.subject;
      break;
    } catch (error) {
      isUnchecked = true;
      progress.authenticator = link.name;
      const { message } = asError(error);
      logger.warn(
        { authenticator: link.name, reason: withoutToken(message, password) },
        'authenticator could not check a login',
      );
      if (link.onError === 'stop') break;
    }
  }
  throw isUnchecked ? unavailable('the directory', isChecked) : wrongCredentials();
}

/** Not part of the login itself: a session too many is no reason to refuse one. */
async function revokeSurplus(service: LoginService, username: string, signal: AbortSignal): Promise<void> {
  const { issuer, config, logger, problemOf } = service;
  try {
    const all = await sessionsOf(service, username, signal);
    const surplus = all.slice(0, Math.max(0, all.length - config.maxSessions));
    for (const { digest } of surplus) {
      const revocation = { at: new Date(), by: 'login', reason: 'login.maxSessions' };
      for await (const _ of issuer.revoke({ digest }, revocation, signal));
    }
  } catch (error) {
    logger.warn({ reason: problemOf(error) }, 'sessions above login.maxSessions could not be revoked');
  }
}

/** The sessions of a user that have not ended, the oldest first. @param username as Kubernetes sees it */
export async function sessionsOf(
  { issuer }: Pick<LoginService, 'issuer'>,
  username: string,
  signal: AbortSignal,
): Promise<readonly IssuedToken[]> {
  const all: IssuedToken[] = [];
  for await (const one of issuer.list({ username, sessions: true }, signal)) {
    if (!('fault' in one) && one.revoked === undefined && (one.expiresAt?.getTime() ?? 0) > Date.now()) all.push(one);
  }
  return all.sort((one, other) => (one.issuedAt?.getTime() ?? 0) - (other.issuedAt?.getTime() ?? 0));
}
