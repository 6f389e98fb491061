import { ServerFault } from '../connection/server-fault.ts';
import { anyEntry } from '../filter/any-entry.ts';
import { classifySearch, namedCode } from './result-codes.ts';
import type { SearchConnection } from './types.ts';

/**
 * Asks for the root DSE (RFC 4512 section 5.1), which costs a server nothing. That it may not be read is an answer too.
 *
 * @throws ServerFault when the server does not answer or answers that it can't
 */
export async function askForRootEntry(connection: SearchConnection, url: string, signal: AbortSignal): Promise<void> {
  const { code } = await connection.search(
    {
      base: '',
      scope: 'base',
      filter: anyEntry,
      attributes: ['1.1'],
      sizeLimit: 0,
    },
    signal,
  );
  const insufficientAccessRights = 50;
  if (classifySearch(code) !== 'server' || code === insufficientAccessRights) return;
  throw new ServerFault('answer', 'search', `${url}: search: the health check was answered with ${namedCode(code)}`);
}
