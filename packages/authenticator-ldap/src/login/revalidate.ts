import { type Authenticator, AuthenticatorError, type Decision, type Logger } from '@sallyport/authenticator';
import type { Directory } from '../directory/types.ts';
import type { LdapOptions } from '../options/types.ts';
import { accountAttributes, accountText, judgeAccount } from './account-state.ts';
import { isUsername } from './credentials.ts';
import { findEntry, withGroups } from './look-up.ts';

type Revalidate = NonNullable<Authenticator['revalidate']>;

const unknownUser: Decision = Object.freeze({ kind: 'rejected', reason: 'unknown-user' });

/**
 * Checks a user who has logged in before, by the service account. The user must still be found by what logins are found by, with the name and the uid of then. A session belongs to a name,
 * so a user who was renamed has to log in again.
 */
export function createRevalidate(directory: Directory, options: LdapOptions, logger: Logger): Revalidate {
  let isWarned = false;

  function warnOnce(entry: string): void {
    if (isWarned) return;
    isWarned = true;
    const fix = 'let the service account read its attributes, or turn on the password policy of the directory';
    logger.warn({ entry, fix }, 'account state not readable: a disabled account or a changed password ends no session');
  }

  return async ({ username, uid }, { since, signal, trace }) => {
    signal.throwIfAborted();
    const sinceTime = since.getTime();
    if (Number.isNaN(sinceTime)) throw new AuthenticatorError('failed', 'the time of the login is no date');
    if (!isUsername(username)) return unknownUser;
    const wanted = { username, uid, hasLoggedIn: true };
    const traced = { signal, trace };
    const { value: finding, server } = await findEntry(directory, options, wanted, traced, accountAttributes);
    signal.throwIfAborted();
    if (finding.kind === 'unusable') throw finding.error;
    if (finding.kind === 'ambiguous') return { kind: 'rejected', reason: 'ambiguous' };
    if (finding.kind === 'none') return unknownUser;
    const { user } = finding;
    if (user.username !== username || (uid !== undefined && user.uid !== uid)) return unknownUser;
    const state = judgeAccount(user.entry, { now: Date.now(), since: sinceTime });
    trace?.(accountText(state));
    if (state.refusal?.reason === 'unknown-user') return unknownUser;
    if (state.refusal) return { kind: 'rejected', reason: state.refusal.reason, subject: username };
    if (state.seen.length === 0) warnOnce(user.dn);
    const call = { signal, trace, prefer: server, subject: user.dn };
    const decision: Decision = { kind: 'authenticated', user: await withGroups(directory, options, user, call) };
    signal.throwIfAborted();
    return decision;
  };
}
