import { namedCode } from '../directory/result-codes.ts';
import type { Directory, SearchConnection } from '../directory/types.ts';
import { filterText } from '../filter/filter-text.ts';
import type { Filter } from '../filter/types.ts';

/** Characters of a filter that are shown: one for the parents of many groups may be very long. */
const longestFilter = 2_000;

/**
 * The directory, which reports each search and how many entries it found. Searches for one filter below several bases are
 * one level of a search for groups.
 *
 * @param what `user search`
 * @param trace left out: the directory itself, at no cost
 */
export function traced(directory: Directory, what: string, trace: ((step: string) => void) | undefined): Directory {
  if (trace === undefined) return directory;
  return {
    ...directory,
    withService: (work, call) =>
      directory.withService((connection) => work(tracedSearch(connection, what, trace)), call),
  };
}

function tracedSearch(connection: SearchConnection, what: string, trace: (step: string) => void): SearchConnection {
  const filters: Filter[] = [];
  return {
    async search(request, signal) {
      const { base, scope, filter } = request;
      if (!filters.includes(filter)) filters.push(filter);
      const level = filters.length > 1 ? `, level ${filters.length}` : '';
      const text = filterText(filter);
      const shown =
        text.length > longestFilter ? `${text.slice(0, longestFilter)}... (${text.length} characters)` : text;
      const place = `${what}${level} below "${base}" (scope ${scope}), filter ${shown}`;
      try {
        const result = await connection.search(request, signal);
        const { length } = result.entries;
        const code = result.code === 0 ? '' : `, ${namedCode(result.code)}`;
        trace(`${place}: ${length} ${length === 1 ? 'entry' : 'entries'}${code}`);
        return result;
      } catch (error) {
        trace(`${place}: no answer`);
        throw error;
      }
    },
  };
}
