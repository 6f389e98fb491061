import { randomBytes } from 'node:crypto';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import type { SealingKey } from '../shared-redis/types.ts';
import { fieldName, openEntry, parseFieldName, sealEntry } from './entry-fields.ts';
import { changeScript, listScript, revocationKeys } from './scripts.ts';
import type { Entry } from './types.ts';

/** What stands in Redis. */
export interface Listing {
  /** '' where there is none. */
  readonly revision: string;
  /** Redis' time, milliseconds since 1970. */
  readonly now: number;
  /** Each once. */
  readonly entries: readonly Entry[];
  /** All fields, and whether they could be opened. */
  readonly fields: ReadonlyMap<string, 'opened' | 'other key' | 'unreadable'>;
  /** Entries in force that none of the keys opens: what they say is not known. */
  readonly unreadable: number;
}

/** @throws RedisProblem */
export async function readListing(redis: ProbedRedis): Promise<Listing> {
  const { revision, list } = revocationKeys(redis.keyPrefix);
  const reply = await redis.probe('revocations', (client) => client.eval(listScript, 2, revision, list));
  const [hint, time, pairs] = reply as [string | null, string, string[]];
  const now = Number(time);
  const entries = new Map<string, Entry>();
  const fields = new Map<string, 'opened' | 'other key' | 'unreadable'>();
  for (let at = 0; at < pairs.length; at += 2) {
    const [field = '', value = ''] = pairs.slice(at, at + 2);
    const tag = parseFieldName(field)?.tag;
    const key = redis.sealingKeys.find((one) => one.tag === tag);
    const entry = key && openEntry(field, value, key);
    if (entry) entries.set(entry.id, entry);
    fields.set(field, entry ? 'opened' : key === undefined ? 'other key' : 'unreadable');
  }
  const unread = [...fields.keys()].map(parseFieldName).filter((name) => {
    return name !== undefined && name.until > now && !entries.has(name.id);
  });
  const unreadable = new Set(unread.map((name) => name?.id)).size;
  return { revision: hint ?? '', now, entries: [...entries.values()], fields, unreadable };
}

/** What is to be done so that the list in Redis says what it should. */
export interface Change {
  readonly remove: readonly string[];
  /** By field. */
  readonly add: ReadonlyMap<string, string>;
}

/** Milliseconds after its end that an entry of a key which is not known any more is removed. */
const graceOfUnknown = 86_400_000;

/** A copy of each entry for each key, and nothing that ended or was overruled. */
export function changeTowards(wanted: readonly Entry[], { fields, now }: Listing, keys: readonly SealingKey[]): Change {
  const add = new Map<string, string>();
  for (const entry of wanted) {
    for (const key of keys) {
      const field = fieldName(entry, key);
      if (fields.get(field) !== 'opened') add.set(field, sealEntry(entry, key));
    }
  }
  const ids = new Set(wanted.map(({ id }) => id));
  const remove = [...fields].flatMap(([field, state]) => {
    const name = parseFieldName(field);
    if (name === undefined || ids.has(name.id)) return [];
    return state === 'opened' || name.until + graceOfUnknown < now ? [field] : [];
  });
  return { remove, add };
}

/**
 * @returns the revision that the list has then, or undefined when somebody else changed it since it was read
 * @throws RedisProblem
 */
export async function applyChange(
  redis: ProbedRedis,
  { revision }: Listing,
  { remove, add }: Change,
): Promise<string | undefined> {
  const keys = revocationKeys(redis.keyPrefix);
  const next = randomBytes(12).toString('base64url');
  const change = [revision, next, String(remove.length), ...remove, ...[...add].flat()];
  const done = await redis.probe('revocations', (client) =>
    client.eval(changeScript, 2, keys.revision, keys.list, ...change),
  );
  return done === 1 ? next : undefined;
}

export function newEntryId(): string {
  return randomBytes(12).toString('base64url');
}
