import { nameNetwork } from '../http/socket-limit.ts';
import { tooMany } from './login-error.ts';
import type { Proof } from './proof.ts';
import type { RateLimit } from './rate-limit.ts';

/** Names a count of logins. In JSON, no name of a user looks like a name with an address. */
const countName = (...names: string[]) => JSON.stringify(names);

/** Counts a login of a user who has proved everything, by the name that Kubernetes sees. @throws LoginError if there were too many */
export function countLogin(logins: RateLimit, { user }: Pick<Proof, 'user'>): void {
  const turn = logins.take(countName(user.username));
  if (typeof turn === 'number') throw tooMany('too many logins of this user', turn);
}

/**
 * Counts a right password whose second factor is still missing. It counts apart, for each address: who has only learned the
 * password does not use up the logins of its user.
 *
 * @throws LoginError if there were too many
 */
export function countIncomplete(
  logins: RateLimit,
  { user }: Pick<Proof, 'user'>,
  address: string,
): void {
  const turn = logins.take(countName(user.username, nameNetwork(address)));
  if (typeof turn === 'number')
    throw tooMany('too many logins of this user without a second factor', turn);
}
