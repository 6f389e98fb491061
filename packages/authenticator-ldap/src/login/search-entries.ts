import { AuthenticatorError } from '@sallyport/authenticator';
import { ServerFault } from '../connection/server-fault.ts';
import type { Entry, SearchResult } from '../connection/types.ts';
import { classifySearch, resultCodeName } from '../directory/result-codes.ts';

/** Where a search of a login comes from. */
export interface SearchPlace {
  readonly what: 'the search for a user' | 'the look at a user (user.dnTemplate)' | 'the search for groups';
  /** Of the options: no DN that was made of a typed name. */
  readonly base: string;
}

export interface FoundEntries {
  readonly entries: readonly Entry[];
  /** There are more than were asked for, or than the server gives. */
  readonly isCut: boolean;
}

/**
 * The entries that a search found.
 *
 * A referral is nothing found for a user (the entry would be on a server that is not ours), but a fault of the server
 * for groups: those that it holds back would be missing. A base that is not there is a fault of the server if it comes
 * from the options: a replica that is being filled answers so.
 *
 * @throws ServerFault `answer` when the server can't, or does not hold the base: another one may
 * @throws AuthenticatorError `failed` when it is a matter of this one search
 */
export function foundEntries(result: SearchResult, place: SearchPlace): FoundEntries {
  const { entries, code } = result;
  const { what, base } = place;
  switch (classifySearch(code)) {
    case 'ok':
      return { entries, isCut: false };
    case 'size-limit':
      return { entries, isCut: true };
    case 'not-found':
      if (what !== 'the search for groups') return nothing;
      throw missingBase(place, code);
    case 'no-such-object':
      if (what === 'the look at a user (user.dnTemplate)') return nothing;
      throw missingBase(place, code);
    case 'failed':
      throw new AuthenticatorError('failed', `${what} ended in ${named(code)}: ${mendOf(code)}`);
    case 'server':
      throw new ServerFault('answer', 'search', `${what} below "${base}" ended in ${named(code)}`);
  }
}

const nothing: FoundEntries = { entries: [], isCut: false };

/** `32 noSuchObject` */
export function named(code: number): string {
  return `${code} ${resultCodeName(code)}`;
}

function mendOf(code: number): string {
  return code === 3 || code === 11
    ? 'index the attributes of the filter, or raise the limits of the service account'
    : 'a value of this login does not suit the schema of the directory';
}

function missingBase({ what, base }: SearchPlace, code: number): ServerFault {
  const option = what === 'the search for groups' ? 'groups.base' : 'user.base';
  const message =
    `${option} "${base}" is not there, or hidden from the service account (${named(code)}): ` +
    `correct ${option}, or let the account read it`;
  return new ServerFault('answer', 'search', message);
}
