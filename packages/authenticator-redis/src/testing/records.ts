import type { Redis } from '@sallyport/redis-connection';
import { type LayoutName, layouts } from '../layouts.ts';
import { digestToken, makeToken } from '../token.ts';

export const keyPrefix = 'sallyport:token:';

/** A record of another system: the fields of the README with their values. */
export type WrittenRecord = Readonly<Record<string, unknown>>;

export function keyOf(token: string): string {
  return keyPrefix + digestToken(token);
}

/** Writes a record as another system would. @param milliseconds the time to live of the key; default: none */
export async function store(
  client: Redis,
  layout: LayoutName,
  token: string,
  record: WrittenRecord,
  milliseconds?: number,
): Promise<void> {
  const key = keyOf(token);
  if (layouts[layout].type === 'hash') await client.hset(key, hashFields(record));
  else await client.set(key, JSON.stringify(record));
  if (milliseconds !== undefined) await client.pexpire(key, milliseconds);
}

function hashFields(record: WrittenRecord): Record<string, string> {
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, text(value)]));
}

/** Stores the record of a new token. @returns the token */
export async function storeToken(
  client: Redis,
  layout: LayoutName,
  record: WrittenRecord,
): Promise<string> {
  const token = makeToken('sp_');
  await store(client, layout, token, record);
  return token;
}
