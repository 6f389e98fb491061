import { randomBytes } from 'node:crypto';
import type { AdmittedAttempt, AttemptOutcome } from '@sallyport/authenticator';
import type { BindCredentials, BindResult, Server } from '../connection/types.ts';
import type { DirectoryCall, LdapDirectory } from '../directory/types.ts';
import type { LdapOptions, UserOptions } from '../options/types.ts';
import { delay } from '../waiting.ts';
import { type BindOutcome, classifyBind } from './bind-reasons.ts';

type Bound = Exclude<BindOutcome, { kind: 'unchecked' }> & { readonly server: Server };

/**
 * Sends one password that the lockout guard has admitted, and goes on with the outcome. The attempt takes one of the
 * user's few slots, so it is settled as soon as the directory has no more work for it, whatever happens.
 *
 * The bind is never aborted: a server counts every password that it was sent, so the guard must too. Otherwise a client
 * that hangs up early could guess passwords until the account is locked. The closure that outlives the login, `onLate`,
 * does not refer to the credentials.
 *
 * @param use the further work of the directory for this login: the search for groups
 * @throws AuthenticatorError as `Directory.bindUser`, and for an answer that is neither a success nor a refusal
 */
export async function bindUser<T>(
  directory: LdapDirectory,
  credentials: BindCredentials,
  attempt: AdmittedAttempt,
  call: DirectoryCall,
  use: (bound: Bound) => Promise<T>,
): Promise<T> {
  let outcome: AttemptOutcome = 'unavailable';
  let late: readonly Promise<BindResult>[] = [];
  const onLate = (answer: Promise<BindResult>) => {
    late = [...late, answer];
  };
  const onUnanswered = () => {
    outcome = 'unanswered';
  };
  try {
    // The guard may have waited for another attempt of this user.
    call.signal.throwIfAborted();
    const { signal } = new AbortController();
    const { value, server } = await directory.bindUser(credentials, {
      ...call,
      signal,
      onLate,
      onUnanswered,
    });
    const bound = classifyBind(value);
    // Another server, which ended the connection or is late, may still have counted the password.
    if (bound.attempt !== 'unavailable') {
      outcome = bound.attempt;
      late = [];
    }
    if (bound.kind === 'unchecked') throw bound.error;
    return await use({ ...bound, server });
  } finally {
    if (late.length === 0) await attempt.settle(outcome);
    else void settleLate(attempt, late, outcome);
  }
}

/**
 * Settles an attempt on whose bind servers still work, for example on a password hash of very many
 * rounds. Until they are done the attempt is open, so no user can make them work on more and more
 * of these. The guard counts one that never ends as refused after a while.
 *
 * @param otherwise the outcome at the other servers
 */
async function settleLate(
  attempt: AdmittedAttempt,
  late: readonly Promise<BindResult>[],
  otherwise: AttemptOutcome,
): Promise<void> {
  const answers = await Promise.allSettled(late);
  const outcomes = answers.map((answer) =>
    answer.status === 'fulfilled' ? classifyBind(answer.value).attempt : 'unanswered',
  );
  const outcome =
    outcomes.find((result) => result === 'refused' || result === 'accepted') ??
    outcomes.find((result) => result === 'unanswered');
  await attempt.settle(outcome ?? otherwise);
}

/**
 * How many users' refusals are remembered, since passwords may be hashed in different ways. A user counts once, so that
 * users who store a hash of very many rounds as their own password do not set the time for all names.
 */
const maxRefusals = 64;

/** Creates binds that can't succeed, in place of the bind that a login would have ended with. */
export function createDecoys(
  directory: LdapDirectory,
  { user: { find }, serverTimeout }: Pick<LdapOptions, 'user' | 'serverTimeout'>,
) {
  // The milliseconds that the last refusal of each user took, in the order in which they came.
  const refusals = new Map<string, number>();
  return {
    /**
     * Makes an unknown or throttled name cost the server and the caller what a wrong password
     * costs, so that the time does not show which names exist. It takes at least as long as a
     * recent real refusal, since a server hashes no password for a name that it does not have. The
     * server's answer means nothing.
     */
    async bind(call: DirectoryCall): Promise<void> {
      const begun = performance.now();
      const minTime = [...refusals.values()][Math.floor(Math.random() * refusals.size)] ?? 0;
      await directory.bindUser(decoyCredentials(find), call);
      await delay(minTime - (performance.now() - begun), call.signal);
    },
    /**
     * Records how long the refusal of a wrong password of an existing user took. The last refusal
     * of each user counts.
     */
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
  return {
    dn: find.by === 'dn' ? find.template.fill(name) : dnBelow(find.bases[0], name),
    password,
  };
}

export function dnBelow(base: string | undefined, name: string): string {
  return base ? `cn=${name},${base}` : `cn=${name}`;
}
