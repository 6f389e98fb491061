import { randomBytes } from 'node:crypto';
import type { BindCredentials } from '../connection/types.ts';
import type { Directory, DirectoryCall } from '../directory/types.ts';
import type { UserOptions } from '../options/types.ts';

/**
 * A bind that nobody can succeed with, in place of the one that a login would have ended with: a name that is not
 * there, or may not be tried now, then costs the server and the caller what a wrong password costs, and the time
 * tells nobody which names exist. What the server answers means nothing.
 *
 * @throws AuthenticatorError as `Directory.bindUser`: a login with a wrong password would throw here too
 */
export async function bindDecoy(directory: Directory, find: UserOptions['find'], call: DirectoryCall): Promise<void> {
  await directory.bindUser(decoyCredentials(find), call);
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
