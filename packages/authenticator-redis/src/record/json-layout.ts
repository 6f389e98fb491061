import { readRecord } from './schema.ts';
import { sizeFault } from './size.ts';
import type { Layout, TokenRecord } from './types.ts';
import { writtenFields } from './write.ts';

/** A string that holds one JSON object (RFC 8259). */
export const jsonLayout: Layout = {
  command: 'get',
  type: 'string',
  read(reply) {
    if (reply === null) return undefined;
    if (typeof reply !== 'string') return { fault: 'is no string' };
    return sizeFault(reply.length) ?? parse(reply);
  },
};

function parse(text: string): ReturnType<Layout['read']> {
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
 * The same record with other fields put into it; what other systems wrote there stays.
 *
 * @param text one that was read without a fault
 */
export function changeJson(text: string, changes: Partial<TokenRecord>): string {
  return JSON.stringify({ ...JSON.parse(text), ...Object.fromEntries(writtenFields(changes)) });
}
