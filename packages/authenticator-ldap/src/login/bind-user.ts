import type { AdmittedAttempt, AttemptOutcome } from '@sallyport/authenticator';
import type { BindCredentials, Server } from '../connection/types.ts';
import { orAborted } from '../directory/or-aborted.ts';
import type { Directory, DirectoryCall } from '../directory/types.ts';
import { type BindVerdict, judgeBind } from './bind-reasons.ts';

/** What came of a bind, once the lockout guard knows it too. */
export type Bound = Exclude<BindVerdict, { kind: 'unchecked' }> & { readonly server: Server };

/**
 * Sends one password that the lockout guard has admitted. The attempt is settled once, whatever happens: as unavailable
 * when no server said yes or no.
 *
 * A bind that has begun goes on when the caller leaves, within the directory's own times: a server counts what it was
 * sent, so the guard must too. Else whoever hangs up soon enough could try passwords until the account is locked.
 *
 * @throws AuthenticatorError as `Directory.bindUser`, and for an answer that is neither; the reason of the signal
 */
export function bindUser(
  directory: Directory,
  credentials: BindCredentials,
  attempt: AdmittedAttempt,
  call: DirectoryCall,
): Promise<Bound> {
  return orAborted(bindToTheEnd(directory, credentials, attempt, call), call.signal);
}

async function bindToTheEnd(
  directory: Directory,
  credentials: BindCredentials,
  attempt: AdmittedAttempt,
  call: DirectoryCall,
): Promise<Bound> {
  let outcome: AttemptOutcome = 'unavailable';
  try {
    // The guard may have waited for another try of this user.
    call.signal.throwIfAborted();
    const { signal } = new AbortController();
    const { value, server } = await directory.bindUser(credentials, { ...call, signal });
    const verdict = judgeBind(value);
    outcome = verdict.attempt;
    if (verdict.kind === 'unchecked') throw verdict.error;
    return { ...verdict, server };
  } finally {
    await attempt.settle(outcome);
  }
}
