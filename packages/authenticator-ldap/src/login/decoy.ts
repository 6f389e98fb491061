import { randomBytes } from 'node:crypto';
import type { BindCredentials } from '../connection/types.ts';
import { pause } from '../deadlines.ts';
import type { Directory, DirectoryCall } from '../directory/types.ts';
import type { LdapOptions, UserOptions } from '../options/types.ts';

/** Binds that can't succeed, in place of the bind that a login would have ended with. */
export interface Decoys {
  /**
   * An unknown name, or one that may not be tried now, then costs the server and the caller what a wrong password costs,
   * and the time does not show which names exist: it is at least that of a recent real refusal, since a server hashes no
   * password for a name that it does not have. The server's answer means nothing.
   *
   * @throws AuthenticatorError as `Directory.bindUser`: a login with a wrong password would throw here too
   */
  bind(call: DirectoryCall): Promise<void>;
  /** How long the refusal of a wrong password of an existing user took. The last one of each user counts. */
  noteRefusal(dn: string, milliseconds: number): void;
}

/**
 * Users whose refusals are remembered: passwords may be hashed in different ways. A user counts once, so that users who
 * store a hash of very many rounds as their own password do not set the time for all names.
 */
const maxRefusals = 64;

/** @param options `serverTimeout` is the longest time that the answer for an unknown name is held back */
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
      if (refusals.size > maxRefusals && oldest !== undefined) refusals.delete(oldest);
    },
  };
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
