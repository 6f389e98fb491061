import type { AdmittedAttempt, AttemptOutcome } from '@sallyport/authenticator';
import type { BindCredentials, Server } from '../connection/types.ts';
import type { Directory, DirectoryCall } from '../directory/types.ts';
import { type BindVerdict, judgeBind } from './bind-reasons.ts';

/** What came of a bind, once the lockout guard knows it too. */
export type Bound = Exclude<BindVerdict, { kind: 'unchecked' }> & { readonly server: Server };

/**
 * Sends one password that the lockout guard has admitted. The attempt is settled once, whatever happens: as unavailable
 * when no server said yes or no.
 *
 * @throws AuthenticatorError as `Directory.bindUser`, and for an answer that is neither; the reason of the signal
 */
export async function bindUser(
  directory: Directory,
  credentials: BindCredentials,
  attempt: AdmittedAttempt,
  call: DirectoryCall,
): Promise<Bound> {
  let outcome: AttemptOutcome = 'unavailable';
  try {
    // The guard may have waited for another try of this user.
    call.signal.throwIfAborted();
    const { value, server } = await directory.bindUser(credentials, call);
    const verdict = judgeBind(value);
    outcome = verdict.attempt;
    if (verdict.kind === 'unchecked') throw verdict.error;
    return { ...verdict, server };
  } finally {
    await attempt.settle(outcome);
  }
}
