import type { Logger, RejectionReason } from '@sallyport/authenticator';
import { describeCause } from '../config/problems.ts';
import type { endLogins } from '../engine/revocation/end-logins.ts';
import type { LoginBlocks, LoginRevocations } from '../engine/revocation/list.ts';
import { type BlockableLogin, findLoginBlock } from '../engine/revocation/with-blocks.ts';
import { createUnavailableError } from './login-error.ts';

// Whatever ends the sessions of a user publishes an entry of the revocation list, waits until all replicas have confirmed it, and then
// ends the sessions that are stored. A login compares the list with the revision from before its first proof, right before it writes
// and again after. So a replica that writes before it confirms leaves a session that is found and ended, and one that writes later
// knows the entry, whatever it was paused in.

/** The parts that know what has ended logins. */
export interface LoginEnds {
  readonly revocations: LoginRevocations;
  readonly blocks: LoginBlocks;
}

/** Ends the logins in progress of a user on all replicas: see `engine/revocation/end-logins.ts`. */
export type EndLogins = (
  details: Parameters<typeof endLogins>[1],
  signal: AbortSignal,
) => ReturnType<typeof endLogins>;

/** A login in progress. */
export interface BegunLogin extends BlockableLogin {
  /** The revision of the revocation list before the first proof. */
  readonly revision: number;
}

/** @throws LoginError while it is not known who is blocked */
export function requireKnownBlocks({ blocks }: Pick<LoginEnds, 'blocks'>): void {
  if (blocks.isUnknown) throw createUnavailableError('the revocation list');
}

/** Finds out what has ended a login since its first proof. @throws LoginError while it is not known who is blocked */
export function findLoginEnd(
  ends: LoginEnds,
  login: BegunLogin,
): 'blocked' | 'revoked' | undefined {
  requireKnownBlocks(ends);
  if (findLoginBlock(ends.blocks, login) !== undefined) return 'blocked';
  const isRevoked = ends.revocations.isRevoked(login.revision, login.user.username, '');
  return isRevoked ? 'revoked' : undefined;
}

/** What a login writes: a session, or a second factor. */
interface LoginWrite<Written> {
  readonly write: () => Promise<Written>;
  /** Takes back what was written. No one has got it. */
  readonly takeBack: (written: Written) => Promise<unknown>;
  /** Makes the error of a login that has ended. @param reason for the audit trail */
  readonly refuse: (reason: RejectionReason) => Error;
}

/**
 * Writes what a login makes, unless the login has ended, or ends while it is written.
 *
 * @throws what `refuse` makes, if the login has ended; LoginError while it is not known; and whatever `write` and `takeBack` throw
 */
export async function writeUnlessEnded<Written>(
  ends: LoginEnds,
  login: BegunLogin,
  { write, takeBack, refuse }: LoginWrite<Written>,
): Promise<Written> {
  const endBefore = findLoginEnd(ends, login);
  if (endBefore !== undefined) throw refuse(endBefore);
  const result = await write();
  await ends.revocations.refresh();
  const endAfter = findLoginEnd(ends, login);
  if (endAfter === undefined) return result;
  await takeBack(result);
  throw refuse(endAfter);
}

/**
 * Ends the logins in progress of a user, for what the user does. It never rejects: what else the user does is done.
 *
 * @returns the revisions as `EndLogins`. Undefined: the replicas share no list, or they could not be told
 */
export async function endUserLogins(
  { endLogins, logger }: { readonly endLogins: EndLogins | undefined; readonly logger: Logger },
  name: string,
  reason: string,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<EndLogins>> | undefined> {
  try {
    const ended = await endLogins?.({ name, by: 'login', reason }, signal);
    if (ended !== undefined && ended.unconfirmed > 0)
      logger.warn({ replicas: ended.unconfirmed }, 'replicas have not ended logins in progress');
    return ended;
  } catch (error) {
    logger.warn({ reason: describeCause(error) }, 'logins in progress could not be ended');
    return undefined;
  }
}
