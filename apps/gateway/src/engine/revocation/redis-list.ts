import { randomBytes } from 'node:crypto';
import type { RedisClient } from '@sallyport/redis-connection';
import { openText, type SealingKey, sealText } from '../sealing/seal.ts';
import { readReply } from '../shared-redis/read-reply.ts';
import { type ProbedRedis, toPairs } from '../shared-redis/shared-redis.ts';
import { digestList, type Entry, entrySchema, type RevocationList } from './list.ts';
import { countReply, hashReply } from './replies.ts';
import { allowAboveLimit, changeListScript, readListScript, revocationKeys } from './scripts.ts';

// Redis has an entry once for each sealing key, so that one key after the other can be changed: a gateway with one of the keys
// can read it. Each copy is a field of the list's hash, `keptUntil.id.tag-of-the-key`. The time is in clear, so that
// replicas without any of the keys know what may be removed.

export function fieldName(
  { keptUntil, id }: Pick<Entry, 'keptUntil' | 'id'>,
  { tag }: SealingKey,
): string {
  return `${keptUntil}.${id}.${tag}`;
}

/** @returns undefined for a field that is not ours */
export function parseFieldName(field: string) {
  const pattern = /^(?<keptUntil>\d{1,16})\.(?<id>[\w-]{1,64})\.(?<tag>[0-9a-f]{16})$/;
  const { keptUntil, id, tag } = pattern.exec(field)?.groups ?? {};
  if (keptUntil === undefined || id === undefined || tag === undefined) return undefined;
  return { keptUntil: Number(keptUntil), id, tag };
}

const sealedFor = 'revocation entries';

export function sealEntry(entry: Entry, key: SealingKey): string {
  return sealText(key, sealedFor, fieldName(entry, key), JSON.stringify(entry));
}

/** Opens a copy of an entry. @returns undefined if it was not sealed with that key for that field */
export function openEntry(field: string, value: string, key: SealingKey): Entry | undefined {
  const text = openText([key], sealedFor, field, value);
  if (text === undefined) return undefined;
  // A gateway wrote it, since it is sealed with our key. A later version may write what this version does not know.
  try {
    const entry: unknown = JSON.parse(text);
    return entrySchema.safeParse(entry).success ? (entry as Entry) : undefined;
  } catch {
    return undefined;
  }
}

/** The opened entries of the last poll, by field. Most of them are there again in the next poll. */
type OpenedEntries = ReadonlyMap<string, { readonly value: string; readonly entry: Entry }>;

const openedBefore = new WeakMap<ProbedRedis, OpenedEntries>();

/** Called with the number of keys of another type that a script removed. */
export type OnForeign = (keys: number) => void;

/** The list as it is in Redis. */
export type Listing = Readonly<Awaited<ReturnType<typeof readListing>>>;

/** Reads the list in Redis, and opens its entries. @throws RedisProblem */
export async function readListing(redis: ProbedRedis, onForeign?: OnForeign) {
  const { revision, list } = revocationKeys(redis.keyPrefix);
  const reply = await redis.probe('revocations', (client) =>
    client.eval(readListScript, 2, revision, list),
  );
  const [text, now, pairs, foreign] = readReply(hashReply, reply);
  onForeign?.(foreign);
  const lastOpened = openedBefore.get(redis);
  const opened = new Map<string, { value: string; entry: Entry }>();
  const fields = new Map<string, boolean>();
  for (const [field, value] of toPairs(pairs)) {
    const tag = parseFieldName(field)?.tag;
    const key = redis.sealingKeys.find((sealingKey) => sealingKey.tag === tag);
    const cached = lastOpened?.get(field);
    const entry = cached?.value === value ? cached.entry : key && openEntry(field, value, key);
    if (entry) opened.set(field, { value, entry });
    fields.set(field, entry !== undefined);
  }
  openedBefore.set(redis, opened);
  const byId = new Map([...opened.values()].map(({ entry }) => [entry.id, entry]));
  const unreadable = new Set<string>();
  let unreadableUntil = 0;
  for (const name of [...fields.keys()].map(parseFieldName)) {
    if (name === undefined || name.keptUntil <= now || byId.has(name.id)) continue;
    unreadable.add(name.id);
    unreadableUntil = Math.max(unreadableUntil, name.keptUntil);
  }
  const entries: readonly Entry[] = [...byId.values()];
  return {
    /** It is '' if there is no list. */
    revision: text,
    /** Redis' time, milliseconds since 1970. */
    now,
    /** The opened entries, each once. */
    entries,
    /** All fields, and whether they could be opened. */
    fields,
    /**
     * Entries that must still be remembered and that none of the keys opens, so that their content is unknown: their number,
     * until when the last of them must be remembered (0: there is none), and their key in Redis.
     */
    unreadable: { count: unreadable.size, until: unreadableUntil, key: list },
  };
}

/**
 * The maximum numbers of fields that one change removes and adds: a call with very many fails. The next change does the rest.
 */
const maxRemoved = 5_000;
const maxAdded = 1_000;

/** An entry whose key is unknown is removed this long after it need not be remembered any more. Milliseconds. */
const graceOfUnknown = 86_400_000;

/**
 * Finds what must change in Redis so that the list there is the target: a copy of each entry for each key, the newest entry
 * first, and nothing that is forgotten or superseded.
 */
export function changeTowards(
  target: readonly Entry[],
  { fields, now }: Listing,
  keys: readonly SealingKey[],
) {
  const newestFirst = target.toSorted((a, b) => b.revision - a.revision);
  const copies = newestFirst.flatMap((entry) =>
    keys.map((key) => ({ field: fieldName(entry, key), entry, key })),
  );
  const missingCopies = copies.filter(({ field }) => fields.get(field) !== true).slice(0, maxAdded);
  const ids = new Set(target.map(({ id }) => id));
  const names = [...fields].map(([field, isOpened]) => {
    return { field, isOpened, ...parseFieldName(field) };
  });
  // The other copies of an opened entry go too: if their key is lost, they could not be distinguished from an unknown entry later.
  const opened = new Set(names.filter(({ isOpened }) => isOpened).map(({ id }) => id));
  const remove = names.flatMap(({ field, id, keptUntil }) => {
    if (id === undefined || keptUntil === undefined) return [field];
    if (ids.has(id)) return [];
    return opened.has(id) || keptUntil + graceOfUnknown < now ? [field] : [];
  });
  return {
    remove: remove.slice(0, maxRemoved),
    add: new Map(missingCopies.map(({ field, entry, key }) => [field, sealEntry(entry, key)])),
  };
}

/** Who changes the list in Redis. */
export interface ListWriter {
  /** Whether the writer knows the whole list: see {@link isWholeList}. */
  readonly isWhole: boolean;
  readonly onForeign?: OnForeign;
}

/**
 * Changes the list in Redis, unless someone else changed it since it was read.
 *
 * @returns undefined if someone else did; else the new revision of the list, and whether the memory of Redis is full, so that
 *   the change was written above its `maxmemory`
 * @throws RedisProblem
 */
export async function applyChange(
  redis: ProbedRedis,
  { revision: expectedRevision }: Pick<Listing, 'revision'>,
  { remove, add }: ReturnType<typeof changeTowards>,
  { isWhole, onForeign }: ListWriter,
) {
  const { revision: key, list } = revocationKeys(redis.keyPrefix);
  const random = randomBytes(12).toString('base64url');
  const revision = isWhole || isWholeList(expectedRevision) ? random : `${partMark}${random}`;
  const change = [expectedRevision, revision, String(remove.length), ...remove, ...[...add].flat()];
  let isAboveLimit = false;
  const onFull = () => {
    isAboveLimit = true;
  };
  const reply = await redis.probe('revocations', (client) =>
    evalAboveLimit(client, changeListScript, [key, list], change, onFull),
  );
  const outcome = readReply(countReply, reply);
  if (outcome === 1) return { revision, isAboveLimit };
  onForeign?.(-outcome);
  return undefined;
}

/** Runs a script, and if the memory of Redis is full, runs it above the limit. @param onFull called before that */
export async function evalAboveLimit(
  client: RedisClient,
  script: string,
  keys: readonly string[],
  args: readonly string[],
  onFull: () => void = () => undefined,
): Promise<unknown> {
  const run = (text: string) => client.eval(text, keys.length, ...keys, ...args);
  try {
    return await run(script);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('OOM '))) throw error;
    onFull();
    return await run(allowAboveLimit(script));
  }
}

/** A revision begins with it when the list in Redis is not known to be whole. */
const partMark = '?';

/**
 * Whether the list in Redis has all entries, by its revision. A Redis that is new, or has lost its data, has none until a gateway
 * that knows the list writes it, even if it is empty. What a command writes before that is a part.
 */
export function isWholeList(revision: string): boolean {
  return revision !== '' && !revision.startsWith(partMark);
}

export function createEntryId(): string {
  return randomBytes(12).toString('base64url');
}

/** The result of {@link synchronize}. */
export type SyncResult = Awaited<ReturnType<typeof synchronize>>;

/**
 * Merges the whole list of Redis into the list of this process, and repairs the one in Redis: it writes back what Redis has
 * lost, adds what is missing for a sealing key, and puts entries last that are out of order.
 *
 * @throws RedisProblem when it can't be read; a Redis that takes no writes is repaired the next time
 */
export async function synchronize(redis: ProbedRedis, list: RevocationList, writer: ListWriter) {
  const { isWhole, onForeign } = writer;
  const listing = await readListing(redis, onForeign);
  const { adopted, outOfOrder } = list.merge(listing.entries);
  const change = makeRepair(redis, listing, list, new Set(outOfOrder.map(({ id }) => id)));
  // After this the list must be read again, even if another client was faster and nothing was changed.
  const isSame = change.add.size + change.remove.length === 0;
  const isRepaired = isSame && (isWholeList(listing.revision) || !isWhole);
  if (!isRepaired) await applyChange(redis, listing, change, writer).catch(() => undefined);
  return {
    redis,
    isWhole,
    revision: listing.revision,
    /** The number of fields of the list in Redis. */
    fields: listing.fields.size,
    /**
     * The digest of this process' list, if it has the same entries as the list in Redis, as far as the keys open them. A command
     * compares it with the digests of lists that it has seen itself.
     */
    digest: isRepaired ? digestList(list.entries) : undefined,
    adopted,
    unreadable: listing.unreadable.count,
  };
}

/** @returns the change that repairs the list in Redis, which is empty if nothing is wrong */
function makeRepair(
  redis: ProbedRedis,
  listing: Listing,
  list: RevocationList,
  outOfOrder: ReadonlySet<string>,
) {
  let { revision } = list;
  const target = list.entries.map((entry) =>
    outOfOrder.has(entry.id) ? { ...entry, id: createEntryId(), revision: ++revision } : entry,
  );
  return changeTowards(target, listing, redis.sealingKeys);
}
