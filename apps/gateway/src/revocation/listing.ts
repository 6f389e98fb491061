import { randomBytes } from 'node:crypto';
import type { SealingKey } from '../sealing/sealing-key.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { fieldName, openEntry, parseFieldName, sealEntry } from './entry-fields.ts';
import { changeAboveLimitScript, changeScript, listScript, revocationKeys } from './scripts.ts';
import type { Entry } from './types.ts';

type FieldState = 'opened' | 'other key' | 'unreadable';

/** What stands in Redis. */
export interface Listing {
  /** '' where there is none. */
  readonly revision: string;
  /** Redis' time, milliseconds since 1970. */
  readonly now: number;
  /** Each once. */
  readonly entries: readonly Entry[];
  /** All fields, and whether they could be opened. */
  readonly fields: ReadonlyMap<string, FieldState>;
  /** Entries still to be remembered that none of the keys opens: what they say is not known. */
  readonly unreadable: number;
}

/** What was opened at the last look: most of it is there again at the next. */
type Opened = ReadonlyMap<string, { readonly value: string; readonly entry: Entry }>;

const openedBefore = new WeakMap<ProbedRedis, Opened>();

/** @throws RedisProblem */
export async function readListing(redis: ProbedRedis): Promise<Listing> {
  const { revision, list } = revocationKeys(redis.keyPrefix);
  const reply = await redis.probe('revocations', (client) => client.eval(listScript, 2, revision, list));
  const [text, time, pairs] = reply as [string, string, string[]];
  const now = Number(time);
  const known = openedBefore.get(redis);
  const opened = new Map<string, { value: string; entry: Entry }>();
  const fields = new Map<string, FieldState>();
  for (let at = 0; at < pairs.length; at += 2) {
    const [field = '', value = ''] = pairs.slice(at, at + 2);
    const tag = parseFieldName(field)?.tag;
    const key = redis.sealingKeys.find((one) => one.tag === tag);
    const before = known?.get(field);
    const entry = before?.value === value ? before.entry : key && openEntry(field, value, key);
    if (entry) opened.set(field, { value, entry });
    fields.set(field, entry ? 'opened' : key === undefined ? 'other key' : 'unreadable');
  }
  openedBefore.set(redis, opened);
  const entries = new Map([...opened.values()].map(({ entry }) => [entry.id, entry]));
  const isUnread = (name: ReturnType<typeof parseFieldName>) =>
    name !== undefined && name.keptUntil > now && !entries.has(name.id);
  const unread = [...fields.keys()].map(parseFieldName).filter(isUnread);
  const unreadable = new Set(unread.map((name) => name?.id)).size;
  return { revision: text, now, entries: [...entries.values()], fields, unreadable };
}

/** What is to be done so that the list in Redis says what it should. */
export interface Change {
  readonly remove: readonly string[];
  /** By field. */
  readonly add: ReadonlyMap<string, string>;
}

/** Fields that one change removes, and that it adds: what is more waits for the next. A call with very many breaks. */
const mostRemoved = 5_000;
const mostAdded = 1_000;

/** Milliseconds after its time that an entry of a key which is not known any more is removed. */
const graceOfUnknown = 86_400_000;

/** A copy of each entry for each key, the newest entry first, and nothing that was forgotten or overruled. */
export function changeTowards(wanted: readonly Entry[], { fields, now }: Listing, keys: readonly SealingKey[]): Change {
  const newestFirst = wanted.toSorted((one, other) => other.revision - one.revision);
  const copies = newestFirst.flatMap((entry) => keys.map((key) => ({ field: fieldName(entry, key), entry, key })));
  const missing = copies.filter(({ field }) => fields.get(field) !== 'opened').slice(0, mostAdded);
  const ids = new Set(wanted.map(({ id }) => id));
  const remove = [...fields].flatMap(([field, state]) => {
    const name = parseFieldName(field);
    if (name === undefined) return [field];
    if (ids.has(name.id)) return [];
    return state === 'opened' || name.keptUntil + graceOfUnknown < now ? [field] : [];
  });
  return {
    remove: remove.slice(0, mostRemoved),
    add: new Map(missing.map(({ field, entry, key }) => [field, sealEntry(entry, key)])),
  };
}

/** What a change has come to. */
export interface Applied {
  /** The revision that the list has then. */
  readonly revision: string;
  /** The memory of Redis is full: the change was written above its `maxmemory`. */
  readonly isAboveLimit: boolean;
}

/**
 * @returns undefined when somebody else changed it since it was read
 * @throws RedisProblem
 */
export async function applyChange(
  redis: ProbedRedis,
  { revision: before }: Pick<Listing, 'revision'>,
  { remove, add }: Change,
): Promise<Applied | undefined> {
  const { revision: key, list } = revocationKeys(redis.keyPrefix);
  const revision = randomBytes(12).toString('base64url');
  const change = [before, revision, String(remove.length), ...remove, ...[...add].flat()];
  let isAboveLimit = false;
  const done = await redis.probe('revocations', async (client) => {
    try {
      return await client.eval(changeScript, 2, key, list, ...change);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('OOM '))) throw error;
      isAboveLimit = true;
      return await client.eval(changeAboveLimitScript, 2, key, list, ...change);
    }
  });
  return done === 1 ? { revision, isAboveLimit } : undefined;
}

export function newEntryId(): string {
  return randomBytes(12).toString('base64url');
}
