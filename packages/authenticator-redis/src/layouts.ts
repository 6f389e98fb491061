import { parseJson } from '@sallyport/plugin-kit';
import { hashUpTo, stringUpTo, type ValueQuery } from '@sallyport/redis-connection';
import {
  type CheckedRecord,
  checkRecord,
  maxBytes,
  sizeProblem,
  type TokenRecord,
  tooBig,
  writtenFields,
} from './record.ts';

/** The format of records in Redis. */
export interface Layout {
  /** The command that reads a whole record, unless it is too big. */
  readonly query: ValueQuery;
  /** Tries all commands with which records are written and revoked, and leaves nothing behind. KEYS[1]: a key that does not exist. */
  readonly tryWrites: string;
  /** The answer of Redis to TYPE. */
  readonly type: 'string' | 'hash';
  /** @param reply the answer to `query`. @returns undefined when there is no record */
  read(reply: unknown): CheckedRecord | undefined;
}

/** A string with one JSON object (RFC 8259). */
export const jsonLayout: Layout = {
  query: stringUpTo(maxBytes),
  tryWrites: `
redis.call('GETRANGE', KEYS[1], 0, 0)
redis.call('SET', KEYS[1], '', 'XX')
return redis.call('PEXPIRE', KEYS[1], 0)`,
  type: 'string',
  read(reply) {
    if (reply === null) return undefined;
    if (typeof reply !== 'string') return { problem: 'is not a string' };
    return sizeProblem(reply.length) ?? parseRecord(reply);
  },
};

function parseRecord(text: string): CheckedRecord {
  // JSON is UTF-8 (RFC 8259 section 8.1). Other bytes could not be written back unchanged.
  if (text.includes('\uFFFD')) return { problem: 'is not UTF-8' };
  const value = parseJson(text);
  return value === undefined ? { problem: 'is not JSON' } : checkRecord(value);
}

export function writeJson(record: TokenRecord): string {
  return JSON.stringify(Object.fromEntries(writtenFields(record)));
}

/**
 * Adds fields to a record. Fields of other systems stay unchanged to the byte: their numbers may have more digits than
 * ours.
 *
 * @param text a valid record that has none of these fields
 */
export function changeJson(text: string, changes: Partial<TokenRecord>): string {
  const added = JSON.stringify(Object.fromEntries(writtenFields(changes)));
  return `${text.slice(0, text.lastIndexOf('}'))},${added.slice(1)}`;
}

/** A hash with a field for each value. Lists are JSON, or as people write them: `dev,ops`. `extra` is a JSON object. */
export const hashLayout: Layout = {
  query: hashUpTo(maxBytes),
  // HSET comes last: without one of the other rights, nothing is written that PEXPIRE would have to remove.
  tryWrites: `
redis.call('EXISTS', KEYS[1])
redis.call('HEXISTS', KEYS[1], 'revokedAt')
redis.call('PEXPIRE', KEYS[1], 0)
redis.call('HSET', KEYS[1], 'username', '')
return redis.call('PEXPIRE', KEYS[1], 0)`,
  type: 'hash',
  read(reply) {
    if (typeof reply === 'number') return tooBig;
    if (!Array.isArray(reply) || reply.length % 2 === 1) return { problem: 'is not a hash' };
    // Fields and values alternate.
    const entries = Array.from(
      { length: reply.length / 2 },
      (_, index): Field => [String(reply[2 * index]), reply[2 * index + 1]],
    );
    // Redis does not distinguish a hash without fields from no hash.
    if (entries.length === 0) return undefined;
    const characters = entries.reduce(
      (sum, [name, value]) => sum + name.length + String(value).length,
      0,
    );
    return sizeProblem(characters) ?? readFields(entries);
  },
};

type Field = readonly [name: string, value: unknown];

const lists: ReadonlySet<string> = new Set(['groups', 'audiences']);
/** The fields whose values are always JSON. */
const json: ReadonlySet<string> = new Set(['extra', 'idle']);

function readFields(entries: readonly Field[]): CheckedRecord {
  const fields = entries.map(([name, value]): Field => [name, parseValue(name, value)]);
  const broken = fields.find(([, value]) => value === undefined);
  if (broken !== undefined) return { problem: `${broken[0]} is not JSON` };
  return checkRecord(Object.fromEntries(fields));
}

/** Parses the value of a field. @returns undefined when it must be JSON and is not */
function parseValue(name: string, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  if (json.has(name) || (lists.has(name) && value.startsWith('['))) return parseJson(value);
  return lists.has(name) ? value.split(',').map((item) => item.trim()) : value;
}

/** Writes a record as alternating fields and values, as HSET takes them. */
export function writeHash(record: Partial<TokenRecord>): string[] {
  return writtenFields(record).flatMap(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
}

export type LayoutName = 'json' | 'hash';

export const layouts: Readonly<Record<LayoutName, Layout>> = { json: jsonLayout, hash: hashLayout };
