import { stringUpTo } from '@sallyport/redis-connection';
import { readRecord } from './schema.ts';
import { mostBytes, sizeFault } from './size.ts';
import type { Layout, TokenRecord } from './types.ts';
import { writtenFields } from './write.ts';

/** A string that holds one JSON object (RFC 8259). */
export const jsonLayout: Layout = {
  query: stringUpTo(mostBytes),
  type: 'string',
  read(reply) {
    if (reply === null) return undefined;
    if (typeof reply !== 'string') return { fault: 'is no string' };
    return sizeFault(reply.length) ?? parse(reply);
  },
};

function parse(text: string): ReturnType<Layout['read']> {
  // JSON is UTF-8 (RFC 8259 section 8.1), and bytes that were none could not be written back as they were.
  if (text.includes('\uFFFD')) return { fault: 'is not UTF-8' };
  try {
    return readRecord(JSON.parse(text));
  } catch {
    // What JSON.parse says quotes the text.
    return { fault: 'is not JSON' };
  }
}

export function writeJson(record: TokenRecord): string {
  return JSON.stringify(Object.fromEntries(writtenFields(record)));
}

/**
 * The same record with more fields; what other systems wrote there stays, to the byte: their numbers may be longer than
 * ours.
 *
 * @param text one that was read without a fault and has none of these fields
 */
export function changeJson(text: string, changes: Partial<TokenRecord>): string {
  const added = JSON.stringify(Object.fromEntries(writtenFields(changes)));
  return `${text.slice(0, text.lastIndexOf('}'))},${added.slice(1)}`;
}
