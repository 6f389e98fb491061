import { AuthenticatorError, type UserInfo } from '@sallyport/authenticator';
import type { Entry } from '../connection/types.ts';
import type { UserOptions } from '../options/types.ts';
import { entryDn, onlyText, textsOf } from './entry-values.ts';

/**
 * Bytes of all that is told of a user, groups aside. Users may often write attributes of their own, and what is told goes
 * on to other servers in headers, which take far less.
 */
const mostTold = 65_536;

/** A user as the directory has it. */
export interface DirectoryUser extends Omit<UserInfo, 'groups'> {
  readonly dn: string;
  /** With what the search for groups needs. */
  readonly entry: Entry;
}

/**
 * Reads a user's entry: the username must be there once, `uid` may be missing, what is in `extra` may be missing or
 * have many values. `email` becomes the key of that name in `extra`.
 *
 * @throws AuthenticatorError `failed` naming the attribute and the mend
 */
export function readUser(entry: Entry, { username, uid, email, extra }: UserOptions['attributes']): DirectoryUser {
  const dn = entryDn(entry, 'a user');
  const name = onlyText(entry, username);
  if (name === undefined) {
    const mend = 'correct user.attributes.username, or let the service account read it';
    throw new AuthenticatorError('failed', `the attribute ${username} of ${dn} is missing or empty: ${mend}`);
  }
  const id = uid === undefined ? undefined : onlyText(entry, uid);
  const named = Object.entries({ ...extra, ...(email !== undefined && { email }) });
  const texts = named.map(([key, attribute]) => [key, textsOf(entry, attribute)] as const);
  const present = texts.filter(([, values]) => values.length > 0);
  refuseHuge(dn, [name, id ?? '', ...present.flatMap(([, values]) => values)]);
  return {
    dn,
    entry,
    username: name,
    ...(id !== undefined && { uid: id }),
    ...(present.length > 0 && { extra: Object.fromEntries(present) }),
  };
}

function refuseHuge(dn: string, told: readonly string[]): void {
  const bytes = told.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes <= mostTold) return;
  const mend = 'clear them, or name other attributes under user.attributes';
  throw new AuthenticatorError('failed', `the attributes of ${dn} have ${bytes} bytes, over ${mostTold}: ${mend}`);
}

/** All that `readUser` looks at, as the search must ask for it. */
export function userAttributes({ username, uid, email, extra }: UserOptions['attributes']): readonly string[] {
  return [username, uid, email, ...Object.values(extra)].filter((attribute) => attribute !== undefined);
}
