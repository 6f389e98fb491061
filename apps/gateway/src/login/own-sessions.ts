import type { IssuedToken, UserInfo } from '@sallyport/authenticator';
import { digestOf } from '../revocation/list.ts';
import type { Session } from '../sessions/session-text.ts';
import { noSession, unavailable } from './login-error.ts';
import { type LoginService, sessionsOf, storeFailed } from './login-service.ts';

/** A session that is in force, with its user as they are today. */
export interface CurrentSession {
  readonly digest: string;
  readonly session: Session;
  readonly user: UserInfo;
}

/** Decides as a review would. @throws LoginError when it is none, or could not be checked */
export async function currentSession(
  service: LoginService,
  token: string,
  digest: string,
  signal: AbortSignal,
): Promise<CurrentSession> {
  const { sessions, config, texts, logger } = service;
  if (!sessions.recognizes(token)) throw noSession();
  // It may be for any of the clusters.
  const audiences = [...new Set(Object.values(config.clusters).map(({ audience }) => audience))];
  const decision = await Promise.resolve()
    .then(() => sessions.authenticator.authenticate(token, { audiences, signal }))
    .catch((error: unknown) => {
      logger.debug({ reason: service.problemOf(error) }, 'a session could not be checked');
      throw unavailable('the session');
    });
  if (decision.kind !== 'authenticated') throw noSession();
  const session = decision.session === undefined ? undefined : texts.read(digest, decision.session);
  if (session === undefined) throw noSession();
  return { digest, session, user: decision.user };
}

/** A session in a list of its user. */
export interface ListedSession {
  readonly digest: string;
  readonly session: Session;
  readonly lastUsedAt?: Date | null;
}

/** All that are in force, the oldest first. @throws LoginError */
export async function listOwn(
  service: LoginService,
  { session: { name } }: CurrentSession,
  signal: AbortSignal,
): Promise<readonly ListedSession[]> {
  try {
    const all = await sessionsOf(service, name, signal);
    return all.flatMap((one) => {
      const session = readSession(service, one);
      return session?.name === name ? [{ digest: one.digest, session, lastUsedAt: one.lastUsedAt ?? null }] : [];
    });
  } catch (error) {
    throw storeFailed(service, error);
  }
}

/**
 * Ends a session, whatever the directory says of its user.
 *
 * @throws LoginError when there is none
 */
export async function logOut(
  service: LoginService,
  token: string,
  signal: AbortSignal,
): Promise<{ readonly session: Session; readonly wasInForce: boolean }> {
  try {
    const { session, isInForce } = await findOwn(service, token, signal);
    const isEnded = await end(service, digestOf(token), undefined, signal);
    return { session, wasInForce: isInForce && isEnded };
  } catch (error) {
    throw storeFailed(service, error);
  }
}

/**
 * Ends all sessions of the user of one that is in force. That one is the last, so that a failure leaves it for another try.
 *
 * @returns how many there were
 * @throws LoginError
 */
export async function logOutEverywhere(
  service: LoginService,
  token: string,
  signal: AbortSignal,
): Promise<{ readonly session: Session; readonly count: number }> {
  try {
    const { session, isInForce } = await findOwn(service, token, signal);
    if (!isInForce) throw noSession();
    const own = digestOf(token);
    const others = (await sessionsOf(service, session.name, signal)).filter(({ digest }) => digest !== own);
    let count = 0;
    for (const { digest } of others) if (await end(service, digest, 'everywhere', signal)) count += 1;
    if (await end(service, own, 'everywhere', signal)) count += 1;
    return { session, count };
  } catch (error) {
    throw storeFailed(service, error);
  }
}

/** Reads a session before it is ended: another kind of token is not. @throws LoginError when it is none */
async function findOwn(
  service: LoginService,
  token: string,
  signal: AbortSignal,
): Promise<{ readonly session: Session; readonly isInForce: boolean }> {
  if (!service.sessions.recognizes(token)) throw noSession();
  for await (const one of service.issuer.list({ digest: digestOf(token) }, signal)) {
    const session = 'fault' in one ? undefined : readSession(service, one);
    if ('fault' in one || session === undefined) break;
    const isInForce = one.revoked === undefined && (one.expiresAt?.getTime() ?? 0) > Date.now();
    return { session, isInForce };
  }
  throw noSession();
}

/** @returns whether this call has ended it */
async function end(
  { issuer }: LoginService,
  digest: string,
  reason: string | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const revocation = { at: new Date(), by: 'logout', ...(reason && { reason }) };
  let isEnded = false;
  for await (const one of issuer.revoke({ digest }, revocation, signal)) isEnded = !('fault' in one) && !one.already;
  return isEnded;
}

function readSession({ texts }: LoginService, { digest, session }: IssuedToken): Session | undefined {
  return session === undefined ? undefined : texts.read(digest, session);
}
