import { hashUpTo } from '@sallyport/redis-connection';
import { readRecord } from './schema.ts';
import { mostBytes, sizeFault, tooBig } from './size.ts';
import type { Layout, ReadRecord, TokenRecord } from './types.ts';
import { writtenFields } from './write.ts';

/** A hash with a field for each value. Lists are JSON, or what people type: `dev,ops`. `extra` is a JSON object. */
export const hashLayout: Layout = {
  query: hashUpTo(mostBytes),
  type: 'hash',
  read(reply) {
    if (typeof reply === 'number') return tooBig;
    if (!Array.isArray(reply) || reply.length % 2 === 1) return { fault: 'is no hash' };
    const entries = pairsOf(reply);
    // To Redis a hash without fields and none at all are the same.
    if (entries.length === 0) return undefined;
    const characters = entries.reduce((sum, [name, value]) => sum + name.length + String(value).length, 0);
    return sizeFault(characters) ?? readFields(entries);
  },
};

/** Fields and values come in turn. */
function pairsOf(reply: readonly unknown[]): readonly (readonly [string, unknown])[] {
  return Array.from({ length: reply.length / 2 }, (_, index) => [String(reply[2 * index]), reply[2 * index + 1]]);
}

const lists: ReadonlySet<string> = new Set(['groups', 'audiences']);

function readFields(entries: readonly (readonly [string, unknown])[]): ReadRecord {
  const values: [string, unknown][] = [];
  for (const [name, value] of entries) {
    const parsed = parseValue(name, value);
    if (parsed === undefined) return { fault: `${name} is not JSON` };
    values.push([name, parsed]);
  }
  return readRecord(Object.fromEntries(values));
}

/** @returns undefined when it should be JSON and is not */
function parseValue(name: string, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  if (name === 'extra' || (lists.has(name) && value.startsWith('['))) return parseJson(value);
  return lists.has(name) ? value.split(',').map((item) => item.trim()) : value;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Fields and values in turn, as HSET takes them. */
export function writeHash(record: Partial<TokenRecord>): string[] {
  return writtenFields(record).flatMap(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
}
