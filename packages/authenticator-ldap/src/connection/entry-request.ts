import { anyEntry } from '../filter/filter.ts';
import type { SearchRequest } from './types.ts';

/** Makes the request for the entry with this DN. By default it asks whether there is one, and for no attribute. */
export function entryRequest(base: string, attributes: readonly string[] = ['1.1']): SearchRequest {
  return { base, scope: 'base', filter: anyEntry, attributes, sizeLimit: 1 };
}
