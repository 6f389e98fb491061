import type { AdmittedAttempt, AttemptOutcome } from '@sallyport/authenticator';
import type { BindCredentials, BindResult, Server } from '../connection/types.ts';
import { within } from '../deadlines.ts';
import type { Directory, DirectoryCall } from '../directory/types.ts';
import { type BindVerdict, judgeBind } from './bind-reasons.ts';

/** The outcome of a bind. */
export type Bound = Exclude<BindVerdict, { kind: 'unchecked' }> & { readonly server: Server };

/**
 * Sends one password that the lockout guard has admitted, and goes on with the outcome. The attempt takes one of the
 * user's few slots, so it is settled as soon as the directory has no more work for it, whatever happens.
 *
 * A bind that has begun goes on when the caller leaves: a server counts every password that it was sent, so the guard
 * must too. Otherwise a client that hangs up early could try passwords until the account is locked.
 *
 * @param then the further work of the directory for this login: the search for groups
 * @throws AuthenticatorError as `Directory.bindUser`, and for an answer that is neither; the reason of the signal
 */
export function bindUser<T>(
  directory: Directory,
  credentials: BindCredentials,
  attempt: AdmittedAttempt,
  call: DirectoryCall,
  then: (bound: Bound) => T | Promise<T>,
): Promise<T> {
  return within(bindToTheEnd(directory, credentials, attempt, call, then), { signal: call.signal });
}

/** A function of its own, so that the closure that outlives the login, `onLate`, does not hold the credentials. */
async function bindToTheEnd<T>(
  directory: Directory,
  credentials: BindCredentials,
  attempt: AdmittedAttempt,
  call: DirectoryCall,
  then: (bound: Bound) => T | Promise<T>,
): Promise<T> {
  let outcome: AttemptOutcome = 'unavailable';
  let late: readonly Promise<BindResult>[] = [];
  const onLate = (answer: Promise<BindResult>) => {
    late = [...late, answer];
  };
  try {
    // The guard may have waited for another attempt of this user.
    call.signal.throwIfAborted();
    const { signal } = new AbortController();
    const { value, server } = await directory.bindUser(credentials, { ...call, signal, onLate });
    const verdict = judgeBind(value);
    outcome = verdict.attempt;
    late = [];
    if (verdict.kind === 'unchecked') throw verdict.error;
    return await then({ ...verdict, server });
  } finally {
    if (late.length === 0) await attempt.settle(outcome);
    else void settleLate(attempt, late);
  }
}

/**
 * The servers still work on the bind, for example on a password hash of very many rounds. Until they are done the attempt
 * is open, so no user can make them work on more and more of these. One that never ends counts as refused after a while.
 */
async function settleLate(attempt: AdmittedAttempt, late: readonly Promise<BindResult>[]): Promise<void> {
  const answers = await Promise.allSettled(late);
  const outcomes = answers.map((answer) =>
    answer.status === 'fulfilled' ? judgeBind(answer.value).attempt : undefined,
  );
  const outcome = outcomes.find((one) => one === 'refused' || one === 'accepted');
  await attempt.settle(outcome ?? 'unavailable');
}
