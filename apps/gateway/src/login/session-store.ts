import type { IssuedToken } from '@sallyport/authenticator';
import { createUnavailableError, LoginError } from './login-error.ts';
import type { LoginService } from './login-service.ts';

/** Asks the session store, and logs why it failed. @throws LoginError if it did, or as `work` does */
export function fromStore<Result>(
  { logger, describeProblem }: LoginService,
  work: () => Promise<Result>,
): Promise<Result> {
  return work().catch((error: unknown) => {
    if (error instanceof LoginError) throw error;
    logger.warn({ reason: describeProblem(error) }, 'session store failed');
    throw createUnavailableError('the session store');
  });
}

/** @throws Error if the store fails */
export async function endSession(
  { issuer }: LoginService,
  session: IssuedToken,
  reason: string,
  signal: AbortSignal,
): Promise<void> {
  // The record of a revoked session takes memory for as long as the session would have lasted.
  if (issuer.delete) await issuer.delete(session, signal);
  else await consume(issuer.revoke(session, { at: new Date(), by: 'login', reason }, signal));
}

async function consume(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

/** Lists the sessions of a user that have not ended, the oldest first. @param username as Kubernetes sees it */
export async function listUserSessions(
  { issuer }: LoginService,
  username: string,
  signal: AbortSignal,
) {
  const sessions: IssuedToken[] = [];
  for await (const issued of issuer.list({ username, sessions: true }, signal)) {
    if (!('problem' in issued) && isInForce(issued)) sessions.push(issued);
  }
  return sessions.sort((a, b) => (a.issuedAt?.getTime() ?? 0) - (b.issuedAt?.getTime() ?? 0));
}

/** Whether a session has neither been revoked nor expired. */
export function isInForce({ revoked, expiresAt }: IssuedToken): boolean {
  return revoked === undefined && (expiresAt?.getTime() ?? 0) > Date.now();
}
