/** Sessions that were made in a soak, and what an answer says of their users. */
import type { Identity, Made } from './history.ts';
import type { Credential, Person } from './world.ts';

export interface Session extends Credential {
  readonly person: Person;
}

/** Keeps a session that was made. @param made when, and by which login */
export type KeepSession = (
  person: Person,
  token: string,
  made: Pick<Made, 'begin' | 'end' | 'login'>,
) => Session;

export function identityOf({
  username,
  groups = [],
  uid,
}: {
  username: string;
  groups?: readonly string[];
  uid?: string;
}): Identity {
  return { username, groups, uid };
}
