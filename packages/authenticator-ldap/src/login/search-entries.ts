import { AuthenticatorError } from '@sallyport/authenticator';
import { ServerFault } from '../connection/server-fault.ts';
import type { Entry, SearchRequest, SearchResult } from '../connection/types.ts';
import { classifySearch, namedCode } from '../directory/result-codes.ts';
import type { SearchConnection } from '../directory/types.ts';

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
 * The entries that a search finds.
 *
 * A referral is nothing found for a user (the entry would be on a server that is not ours), but a fault of the server
 * for groups: those that it holds back would be missing. A base that is not there is a fault of the server if it comes
 * from the options: a replica that is being filled answers so.
 *
 * @throws ServerFault `answer` when the server can't, or does not hold the base: another one may
 * @throws AuthenticatorError `failed` when it is a matter of this one search
 */
export async function searchEntries(
  connection: SearchConnection,
  request: SearchRequest,
  place: SearchPlace,
  signal: AbortSignal,
): Promise<FoundEntries> {
  try {
    return foundEntries(await connection.search(request, signal), place);
  } catch (error) {
    if (error instanceof ServerFault && error.kind === 'too-large') throw tooLarge(error, place);
    throw error;
  }
}

/**
 * Entries are as large as those make them who may write to them, users often to their own: were the server to blame,
 * anybody with such an entry could have it left alone for everybody.
 */
function tooLarge(fault: ServerFault, { what }: SearchPlace): AuthenticatorError {
  const mend = 'look for an entry with a huge attribute, or name no such attribute in the options';
  return new AuthenticatorError('failed', `${what} found too much: ${fault.message}: ${mend}`, { cause: fault });
}

function foundEntries(result: SearchResult, place: SearchPlace): FoundEntries {
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
      throw new AuthenticatorError('failed', `${what} ended in ${namedCode(code)}: ${mendOf(code)}`);
    case 'server':
      throw new ServerFault('answer', 'search', `${what} below "${base}" ended in ${namedCode(code)}`);
  }
}

const nothing: FoundEntries = { entries: [], isCut: false };

function mendOf(code: number): string {
  return code === 3 || code === 11
    ? 'index the attributes of the filter, or raise the limits of the service account'
    : 'a value of this login does not suit the schema of the directory';
}

function missingBase({ what, base }: SearchPlace, code: number): ServerFault {
  const option = what === 'the search for groups' ? 'groups.base' : 'user.base';
  const message =
    `${option} "${base}" is not there, or hidden from the service account (${namedCode(code)}): ` +
    `correct ${option}, or let the account read it`;
  return new ServerFault('answer', 'search', message);
}
