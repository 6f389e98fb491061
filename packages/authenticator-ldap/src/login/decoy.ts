import { randomBytes } from 'node:crypto';
import type { BindCredentials } from '../connection/types.ts';
import type { Directory, DirectoryCall } from '../directory/types.ts';
import type { LdapOptions, UserOptions } from '../options/types.ts';

/** Binds that nobody can succeed with, in place of the one that a login would have ended with. */
export interface Decoys {
  /**
   * A name that is not there, or may not be tried now, then costs the server and the caller what a wrong password
   * costs, and the time does not tell which names exist: it is at least that of a real refusal of late, since a server
   * hashes no password for a name that it does not have. What the server answers means nothing.
   *
   * @throws AuthenticatorError as `Directory.bindUser`: a login with a wrong password would throw here too
   */
  bind(call: DirectoryCall): Promise<void>;
  /** How long a wrong password of a user who exists took to be refused. Of each user the last one counts. */
  noteRefusal(dn: string, milliseconds: number): void;
}

/**
 * Users whose refusals are remembered: passwords may be hashed in different ways. A user counts once, so that a hash of
 * very many rounds, which a user stored as the own password, does not set the time for all names.
 */
const kept = 64;

/** @param options `serverTimeout` is the longest that a name which is not there is held back */
export function createDecoys(
  directory: Directory,
  { user: { find }, serverTimeout }: Pick<LdapOptions, 'user' | 'serverTimeout'>,
): Decoys {
  // In the order in which they came.
  const refusals = new Map<string, number>();
  return {
    async bind(call) {
      const begun = performance.now();
      const least = [...refusals.values()][Math.floor(Math.random() * refusals.size)] ?? 0;
      await directory.bindUser(decoyCredentials(find), call);
      await pause(least - (performance.now() - begun), call.signal);
    },
    noteRefusal(dn, milliseconds) {
      refusals.delete(dn);
      refusals.set(dn, Math.min(milliseconds, serverTimeout));
      const [oldest] = refusals.keys();
      if (refusals.size > kept && oldest !== undefined) refusals.delete(oldest);
    },
  };
}

/** Ends early, and does not throw, when the signal is aborted. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (milliseconds <= 0 || signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener('abort', end);
  });
}

function decoyCredentials(find: UserOptions['find']): BindCredentials {
  const name = randomBytes(16).toString('hex');
  const password = randomBytes(16).toString('base64url');
  return { dn: find.by === 'dn' ? find.template.fill(name) : below(find.bases[0], name), password };
}

/** The empty base is the root. */
function below(base: string | undefined, name: string): string {
  return base ? `cn=${name},${base}` : `cn=${name}`;
}
