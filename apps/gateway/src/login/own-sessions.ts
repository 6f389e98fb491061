import type { IssuedToken, UserInfo } from '@sallyport/authenticator';
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
 * @returns what it was; undefined if nothing of that could be read
 * @throws LoginError when there is none
 */
export async function logOut(
  service: LoginService,
  token: string,
  signal: AbortSignal,
): Promise<{ readonly session: Session | undefined; readonly wasInForce: boolean }> {
  const { issuer, sessions } = service;
  if (!sessions.recognizes(token)) throw noSession();
  try {
    const revocation = { at: new Date(), by: 'logout' };
    for await (const one of issuer.revoke({ token }, revocation, signal)) {
      if ('fault' in one) break;
      const isExpired = (one.token.expiresAt?.getTime() ?? 0) <= Date.now();
      return { session: readSession(service, one.token), wasInForce: !one.already && !isExpired };
    }
  } catch (error) {
    throw storeFailed(service, error);
  }
  throw noSession();
}

/** Ends all sessions of the user of one that is in force. @returns how many there were */
export async function logOutEverywhere(
  service: LoginService,
  token: string,
  signal: AbortSignal,
): Promise<{ readonly session: Session; readonly count: number }> {
  const { session, wasInForce } = await logOut(service, token, signal);
  if (session === undefined || !wasInForce) throw noSession();
  let count = 1;
  try {
    for (const { digest } of await sessionsOf(service, session.name, signal)) {
      const revocation = { at: new Date(), by: 'logout', reason: 'everywhere' };
      for await (const one of service.issuer.revoke({ digest }, revocation, signal)) if (!('fault' in one)) count++;
    }
  } catch (error) {
    throw storeFailed(service, error);
  }
  return { session, count };
}

function readSession({ texts }: LoginService, { digest, session }: IssuedToken): Session | undefined {
  return session === undefined ? undefined : texts.read(digest, session);
}
