import type { IssuedToken, RejectionReason } from '@sallyport/authenticator';
import type { Session } from '../engine/sessions/session-text.ts';
import { writeUnlessEnded } from './ended-login.ts';
import { type LoginError, secondFactorRequired, wrongCode } from './login-error.ts';
import { findProvider, type LoginService, type ProviderProof } from './login-service.ts';
import { type ProvenLogin, toBegunLogin, toSessionUser } from './proof.ts';
import { endSession, fromStore, listUserSessions } from './session-store.ts';

export type NewSession = Awaited<ReturnType<typeof createSession>>;

/** What a session is for. */
export type SessionPlace = Readonly<Pick<Session, 'cluster' | 'device' | 'address'>>;

/** What a session is made for. */
interface EndableLogin extends ProvenLogin {
  /** Makes the error of a login that was ended since its first proof. @param reason for the audit trail */
  readonly refuse: (reason: RejectionReason) => LoginError;
}

/**
 * Makes a session for a user who has proved who they are.
 *
 * @throws LoginError, even when the store could not be asked, for a user who must have a second factor and has not proved it, and
 *   for a login that was ended since its first proof
 */
export async function createSession(
  service: LoginService,
  { refuse, ...login }: EndableLogin,
  place: SessionPlace,
  signal: AbortSignal,
) {
  const { config, issuer, texts } = service;
  const { proof } = login;
  const { user } = proof;
  const { cluster, device, address } = place;
  const { audience } = (cluster === undefined ? undefined : config.clusters[cluster]) ?? {};
  const until = proof.since + findLifetime(service, proof);
  // No way to log in may forget it, and a reload may have made it required since.
  if (service.factorPolicy.isMissing(proof, user.groups)) throw secondFactorRequired([]);
  const session: Session = {
    ...toSessionUser(proof),
    until,
    cluster,
    audience,
    device,
    address,
  };
  const create = {
    user: { username: user.username },
    ...(audience !== undefined && { audiences: [audience] }),
    expiresAt: new Date(until),
    issuedBy: 'login',
    reason: device ?? address,
    session: { describe: (digest: string) => texts.write(digest, session), idle: config.idle },
  };
  return fromStore(service, async () => {
    const { token, issued } = await writeUnlessEnded(service, toBegunLogin(login), {
      write: () => issuer.create(create, signal),
      takeBack: (created) => discardSession(service, created.issued),
      refuse,
    });
    // Such a token would be accepted nowhere.
    if (issued.session === undefined)
      throw new Error('its plugin has stored no session with the token');
    await endExcessSessions(service, user.username);
    return { token, session, user };
  });
}

/** Returns the milliseconds that a session lasts at most. @throws LoginError if its provider is not in the config any more */
function findLifetime({ config, browser }: LoginService, proof: ProviderProof) {
  if (proof.provider === undefined) return config.ttl;
  const provider = findProvider(browser?.providers.values() ?? [], proof);
  if (provider === undefined) throw wrongCode();
  return Math.min(config.ttl, provider.ttl);
}

/**
 * Ends the oldest sessions beyond the limit. Of logins at the same moment, the last one to get here sees the sessions
 * of all others. It is not part of the login itself: a session too many is no reason to refuse a login. It has a
 * deadline of its own, because a client that hangs up must not leave a session too many behind.
 */
async function endExcessSessions(service: LoginService, username: string): Promise<void> {
  const { config, logger, describeProblem } = service;
  const signal = AbortSignal.timeout(service.timeout);
  try {
    const sessions = await listUserSessions(service, username, signal);
    const excess = sessions.slice(0, Math.max(0, sessions.length - config.maxSessions));
    for (const session of excess) await endSession(service, session, 'login.maxSessions', signal);
  } catch (error) {
    logger.warn(
      { reason: describeProblem(error) },
      'sessions above login.maxSessions could not be ended',
    );
  }
}

/** Ends the session of a login that was ended while it was written. A session that stays is of no use: no one gets its token. */
async function discardSession(service: LoginService, session: IssuedToken): Promise<void> {
  const { logger, describeProblem, timeout } = service;
  try {
    await endSession(service, session, 'login ended', AbortSignal.timeout(timeout));
  } catch (error) {
    logger.warn(
      { reason: describeProblem(error) },
      'session of an ended login could not be removed',
    );
  }
}
