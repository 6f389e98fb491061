import type { IssuedToken } from '@sallyport/authenticator';
import { digestToken } from '../engine/revocation/list.ts';
import type { Session } from '../engine/sessions/session-text.ts';
import { endUserLogins } from './ended-login.ts';
import { createUnavailableError, noSession } from './login-error.ts';
import type { LoginService } from './login-service.ts';
import { fromStore, isInForce, listUserSessions } from './session-store.ts';

/**
 * Reads a session, and decides as a review would about its user today.
 *
 * @throws LoginError when it is not one, or can't be checked
 */
export async function currentSession(service: LoginService, token: string, signal: AbortSignal) {
  const { sessions, config, texts, logger } = service;
  if (!sessions.recognizes(token)) throw noSession();
  // The session may be for any of the clusters.
  const audiences = [...new Set(Object.values(config.clusters).map(({ audience }) => audience))];
  const decision = await Promise.resolve()
    .then(() => sessions.authenticator.authenticate(token, { audiences, signal }))
    .catch((error: unknown) => {
      logger.warn({ reason: service.describeProblem(error) }, 'session could not be checked');
      throw createUnavailableError('the session');
    });
  if (decision.kind === 'rejected' && decision.reason === 'sealing-key-removed') {
    logger.warn({}, 'session refused: its sealing key was removed');
    throw noSession('the key that sealed this session was removed: log in again');
  }
  if (decision.kind !== 'authenticated') throw noSession();
  const digest = digestToken(token);
  const session = decision.session === undefined ? undefined : texts.read(digest, decision.session);
  if (session === undefined) throw noSession();
  return { session, digest, user: decision.user };
}

/** Lists the sessions of the user of `session` that have not ended, the oldest first. @throws LoginError */
export async function listOwn(
  service: LoginService,
  {
    session: { name, authenticator },
    user,
  }: Pick<Awaited<ReturnType<typeof currentSession>>, 'session' | 'user'>,
  signal: AbortSignal,
) {
  // An authenticator with the same prefix can have another user of this name.
  const findGroups = (session: Session) =>
    session.authenticator === authenticator ? (user.groups ?? []) : undefined;
  return fromStore(service, async () => {
    const issued = await listUserSessions(service, name, signal);
    return issued.flatMap((token) => {
      const session = readSession(service, token);
      if (session?.name !== name) return [];
      const state = service.factorPolicy.findState(session, findGroups(session));
      return [{ digest: token.digest, session, lastUsedAt: token.lastUsedAt ?? null, state }];
    });
  });
}

const unconfirmedLogout =
  'logout not confirmed by any replica of the session Redis: a failover can undo it';

/** Ends a session, whatever the directory says about its user. @throws LoginError when there is none */
export async function logOut(service: LoginService, token: string, signal: AbortSignal) {
  return fromStore(service, async () => {
    const { session, isInForce } = await findOwn(service, token, signal);
    const { count, unconfirmed } = await end(service, [digestToken(token)], signal);
    if (unconfirmed > 0) service.logger.warn({ sessions: unconfirmed }, unconfirmedLogout);
    return { session, wasInForce: isInForce && count > 0, unconfirmed };
  });
}

/**
 * Ends all sessions and all logins in progress of the user of one that is in force. It ends that one last, so that a failure leaves
 * it for another attempt.
 */
export async function logOutEverywhere(service: LoginService, token: string, signal: AbortSignal) {
  return fromStore(service, async () => {
    const { session, isInForce } = await findOwn(service, token, signal);
    if (!isInForce) throw noSession();
    const ownDigest = digestToken(token);
    const endOthers = async () => {
      const digests = (await listUserSessions(service, session.name, signal)).map(
        ({ digest }) => digest,
      );
      const otherDigests = digests.filter((digest) => digest !== ownDigest);
      return end(service, otherDigests, signal, 'everywhere');
    };
    const firstRound = await endOthers();
    await endUserLogins(service, session.name, 'logout everywhere', signal);
    // A replica may have stored a session before it learned of that.
    const ended = [
      firstRound,
      await endOthers(),
      await end(service, [ownDigest], signal, 'everywhere'),
    ];
    const unconfirmed = ended.reduce((sum, round) => sum + round.unconfirmed, 0);
    if (unconfirmed > 0) service.logger.warn({ sessions: unconfirmed }, unconfirmedLogout);
    return { session, count: ended.reduce((sum, round) => sum + round.count, 0), unconfirmed };
  });
}

/**
 * Reads a session before it is ended, since no other kind of token is ended.
 *
 * @throws LoginError when it is not a session
 */
async function findOwn(service: LoginService, token: string, signal: AbortSignal) {
  if (!service.sessions.recognizes(token)) throw noSession();
  for await (const issued of service.issuer.list({ digest: digestToken(token) }, signal)) {
    const session = 'problem' in issued ? undefined : readSession(service, issued);
    if ('problem' in issued || session === undefined) break;
    return { session, isInForce: isInForce(issued) };
  }
  throw noSession();
}

/**
 * Ends sessions.
 *
 * @returns how many this call has ended, and how many of these no replica of the store has confirmed: a failover can
 *   undo them
 */
async function end(
  { issuer }: LoginService,
  digests: readonly string[],
  signal: AbortSignal,
  reason?: string,
) {
  const revocation = { at: new Date(), by: 'logout', ...(reason && { reason }) };
  let [count, unconfirmed] = [0, 0];
  for (const digest of digests) {
    for await (const revoked of issuer.revoke({ digest }, revocation, signal)) {
      if ('problem' in revoked || revoked.already) continue;
      count += 1;
      if (revoked.unconfirmed) unconfirmed += 1;
    }
  }
  return { count, unconfirmed };
}

function readSession(
  { texts }: LoginService,
  { digest, session }: IssuedToken,
): Session | undefined {
  return session === undefined ? undefined : texts.read(digest, session);
}
