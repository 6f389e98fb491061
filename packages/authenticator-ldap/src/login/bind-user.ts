import { randomBytes } from 'node:crypto';
import type { AdmittedAttempt, AttemptOutcome } from '@sallyport/authenticator';
import type { BindCredentials, BindResult, Server } from '../connection/types.ts';
import { pause } from '../deadlines.ts';
import type { Directory, DirectoryCall } from '../directory/types.ts';
import type { LdapOptions, UserOptions } from '../options/types.ts';
import { type BindVerdict, judgeBind } from './bind-reasons.ts';

/** The outcome of a bind. */
type Bound = Exclude<BindVerdict, { kind: 'unchecked' }> & { readonly server: Server };

/**
 * Sends one password that the lockout guard has admitted, and goes on with the outcome. The attempt takes one of the
 * user's few slots, so it is settled as soon as the directory has no more work for it, whatever happens.
 *
 * It is not to be aborted: a server counts every password that it was sent, so the guard must too. Otherwise a client
 * that hangs up early could try passwords until the account is locked. The closure that outlives the login, `onLate`,
 * does not hold the credentials.
 *
 * @param then the further work of the directory for this login: the search for groups
 * @throws AuthenticatorError as `Directory.bindUser`, and for an answer that is neither
 */
export async function bindUser<T>(
  directory: Directory,
  credentials: BindCredentials,
  attempt: AdmittedAttempt,
  call: DirectoryCall,
  then: (bound: Bound) => Promise<T>,
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
  const outcomes = answers.flatMap((one) => (one.status === 'fulfilled' ? [judgeBind(one.value).attempt] : []));
  const outcome = outcomes.find((one) => one === 'refused' || one === 'accepted');
  await attempt.settle(outcome ?? 'unavailable');
}

/**
 * Users whose refusals are remembered: passwords may be hashed in different ways. A user counts once, so that users who
 * store a hash of very many rounds as their own password do not set the time for all names.
 */
const maxRefusals = 64;

/** Binds that can't succeed, in place of the bind that a login would have ended with. */
export function createDecoys(
  directory: Directory,
  { user: { find }, serverTimeout }: Pick<LdapOptions, 'user' | 'serverTimeout'>,
) {
  // In the order in which they came.
  const refusals = new Map<string, number>();
  return {
    /**
     * An unknown name, or one that may not be tried now, then costs the server and the caller what a wrong password costs,
     * and the time does not show which names exist: it is at least that of a recent real refusal, since a server hashes no
     * password for a name that it does not have. The server's answer means nothing.
     */
    async bind(call: DirectoryCall): Promise<void> {
      const begun = performance.now();
      const least = [...refusals.values()][Math.floor(Math.random() * refusals.size)] ?? 0;
      await directory.bindUser(decoyCredentials(find), call);
      await pause(least - (performance.now() - begun), call.signal);
    },
    /** How long the refusal of a wrong password of an existing user took. The last one of each user counts. */
    noteRefusal(dn: string, milliseconds: number): void {
      refusals.delete(dn);
      refusals.set(dn, Math.min(milliseconds, serverTimeout));
      const [oldest] = refusals.keys();
      if (refusals.size > maxRefusals && oldest !== undefined) refusals.delete(oldest);
    },
  };
}

function decoyCredentials(find: UserOptions['find']): BindCredentials {
  const name = randomBytes(16).toString('hex');
  const password = randomBytes(16).toString('base64url');
  return { dn: find.by === 'dn' ? find.template.fill(name) : dnBelow(find.bases[0], name), password };
}

/** @param base left out, or empty: the root */
export function dnBelow(base: string | undefined, name: string): string {
  return base ? `cn=${name},${base}` : `cn=${name}`;
}
