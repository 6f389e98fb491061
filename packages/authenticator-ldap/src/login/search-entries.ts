import { AuthenticatorError } from '@sallyport/authenticator';
import { ServerError } from '../connection/server-error.ts';
import type { Entry, SearchRequest } from '../connection/types.ts';
import { classifySearch, namedCode } from '../directory/result-codes.ts';
import type { SearchConnection } from '../directory/types.ts';

/** What a search of a login is for. */
export interface SearchPlace {
  readonly what: 'the search for a user' | 'the lookup of a user (user.dnTemplate)' | 'the search for groups';
  /** Of the options: no DN that was made from a typed name. */
  readonly base: string;
}

export interface FoundEntries {
  readonly entries: readonly Entry[];
  /** There are more entries than were asked for, or than the server gives. */
  readonly isCut: boolean;
}

/**
 * The entries that a search finds.
 *
 * A referral means no user (the entry would be on a server that is not configured). For groups it is an error of the
 * server: the groups elsewhere would be missing. A base that does not exist is an error of the server if it comes from
 * the options: a replica that is being filled answers so.
 *
 * @throws ServerError `answer` when the server can't answer, or lacks the base: another server may have it
 * @throws AuthenticatorError `failed` when only this search is concerned
 */
export async function searchEntries(
  connection: SearchConnection,
  request: SearchRequest,
  place: SearchPlace,
  signal: AbortSignal,
): Promise<FoundEntries> {
  const { what, base } = place;
  const { entries, code } = await connection.search(request, signal).catch((error: unknown) => {
    throw error instanceof ServerError && error.kind === 'too-large' ? tooLarge(error, what) : error;
  });
  switch (classifySearch(code)) {
    case 'ok':
      return { entries, isCut: false };
    case 'size-limit':
      return { entries, isCut: true };
    case 'not-found':
      if (what !== 'the search for groups') return nothing;
      throw missingBase(place, code);
    case 'no-such-object':
      if (what === 'the lookup of a user (user.dnTemplate)') return nothing;
      throw missingBase(place, code);
    case 'failed': {
      const limits = 'index the attributes of the filter, or raise the limits of the service account';
      const fix =
        code === 3 || code === 11 ? limits : 'a value of this login does not suit the schema of the directory';
      throw new AuthenticatorError('failed', `${what} ended in ${namedCode(code)}: ${fix}`);
    }
    case 'server':
      throw new ServerError('answer', 'search', `${what} below "${base}" ended in ${namedCode(code)}`);
  }
}

const nothing: FoundEntries = { entries: [], isCut: false };

/** Users may write to their own entries and make them large: one of them must not open a server's circuit for all. */
function tooLarge(cause: ServerError, what: string): AuthenticatorError {
  const fix = 'look for an entry with a huge attribute, or name no such attribute in the options';
  return new AuthenticatorError('failed', `${what} found too much: ${cause.message}: ${fix}`, { cause });
}

function missingBase({ what, base }: SearchPlace, code: number): ServerError {
  const option = what === 'the search for groups' ? 'groups.base' : 'user.base';
  const message =
    `${option} "${base}" does not exist, or the service account may not see it (${namedCode(code)}): ` +
    `correct ${option}, or let the account read it`;
  return new ServerError('answer', 'search', message);
}
