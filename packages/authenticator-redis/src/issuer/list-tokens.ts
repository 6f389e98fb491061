import type { IssuedToken, TokenFilter, UnreadableToken } from '@sallyport/authenticator';
import { knownMasters, type Redis, RedisProblem, readValue, type StoredValue } from '@sallyport/redis-connection';
import { endOfKey } from '../decide.ts';
import type { Store } from '../store.ts';
import { issuedToken } from './issued-token.ts';

/** The number of keys that one SCAN visits. It takes a fraction of a millisecond, for which other commands wait. */
const pageSize = 250;

/** Digits of a SHA-256. */
const wholeDigest = 64;

/** All tokens that match, each once. They are read page by page, so other commands do not wait. */
export async function* listTokens(
  { username, digest = '' }: TokenFilter,
  store: Store,
  tracksLastUse: boolean,
  signal: AbortSignal,
): AsyncGenerator<IssuedToken | UnreadableToken> {
  const { connection } = store;
  if (digest.length === wholeDigest) {
    for (const token of await readOne(digest, store, tracksLastUse, signal)) if (isOf(token, username)) yield token;
    return;
  }
  const nodes = await connection.run(knownMasters, signal);
  // SCAN may return a key twice while Redis resizes its table of keys, and a cluster while a slot moves.
  const seen = new Set<string>();
  for (const node of nodes) {
    for await (const keys of scan(node, store.keys.pattern(digest), store, signal)) {
      const digests = keys.flatMap((key) => store.keys.digestOf(key) ?? []).filter((one) => !seen.has(one));
      for (const one of digests) seen.add(one);
      for (const token of await readPage(node, [...new Set(digests)], store, tracksLastUse, signal)) {
        if (isOf(token, username)) yield token;
      }
    }
  }
}

function isOf(token: IssuedToken | UnreadableToken, username: string | undefined): boolean {
  return username === undefined || 'fault' in token || token.user.username === username;
}

async function* scan(
  node: Redis,
  pattern: string,
  { connection }: Store,
  signal: AbortSignal,
): AsyncGenerator<string[]> {
  let cursor = '0';
  do {
    const from = cursor;
    const [next, keys] = await connection.run(() => node.scan(from, 'MATCH', pattern, 'COUNT', pageSize), signal);
    cursor = next;
    yield keys;
  } while (cursor !== '0');
}

async function readPage(
  node: Redis,
  digests: readonly string[],
  store: Store,
  tracksLastUse: boolean,
  signal: AbortSignal,
): Promise<(IssuedToken | UnreadableToken)[]> {
  if (digests.length === 0) return [];
  const asked = store.now();
  const values = await readValues(node, digests, store, signal);
  const lastUses = tracksLastUse ? await readLastUse(digests, store, signal) : undefined;
  return digests.flatMap((digest, index) => tokenOf(digest, values[index] ?? noValue, asked, store, lastUses?.[index]));
}

/** Reads the record of one digest, on whichever node it is. */
async function readOne(
  digest: string,
  store: Store,
  tracksLastUse: boolean,
  signal: AbortSignal,
): Promise<(IssuedToken | UnreadableToken)[]> {
  const { connection, keys, layout, now } = store;
  const asked = now();
  const value = await connection
    .run((client) => readValue(client, layout.query, keys.record(digest)), signal)
    .catch((error: unknown): StoredValue => {
      if (!(error instanceof RedisProblem) || error.kind !== 'type') throw error;
      return { reply: error, timeToLive: -1 };
    });
  const [lastUsedAt] = tracksLastUse ? await readLastUse([digest], store, signal) : [];
  return tokenOf(digest, value, asked, store, lastUsedAt);
}

/** @returns nothing for a key that has expired since it was listed */
function tokenOf(
  digest: string,
  { reply, timeToLive }: StoredValue,
  asked: number,
  { layout }: Store,
  lastUsedAt: number | null | undefined,
): (IssuedToken | UnreadableToken)[] {
  if (reply instanceof Error) return [{ digest, fault: `is not a ${layout.type}, as layout says` }];
  const read = layout.read(reply);
  if (read === undefined || timeToLive === -2) return [];
  if ('problem' in read) return [{ digest, fault: read.problem }];
  return [issuedToken(read.record, { digest, keyExpiresAt: endOfKey(timeToLive, asked), lastUsedAt })];
}

const noValue: StoredValue = { reply: null, timeToLive: -2 };

/** In the order of the digests. The reply is an Error where the value has another type. */
async function readValues(
  node: Redis,
  digests: readonly string[],
  { connection, keys, layout }: Store,
  signal: AbortSignal,
): Promise<readonly StoredValue[]> {
  const pipeline = node.pipeline();
  for (const digest of digests) {
    pipeline.call(...layout.query(keys.record(digest)));
    pipeline.pttl(keys.record(digest));
  }
  return await connection.run(async () => {
    const results = ((await pipeline.exec()) ?? []).map(([error, reply]) => {
      if (error && !error.message.startsWith('WRONGTYPE')) throw error;
      return error ?? reply;
    });
    return digests.map((_, index) => ({ reply: results[2 * index], timeToLive: results[2 * index + 1] }));
  }, signal);
}

/** More characters than a note has. */
const longest = 64;

/**
 * When tokens were used last, by the notes of the gateway.
 *
 * @returns milliseconds since 1970 or null for never, in the order of the digests
 */
async function readLastUse(
  digests: readonly string[],
  { connection, keys }: Store,
  signal: AbortSignal,
): Promise<readonly (number | null)[]> {
  const values = await connection.run(
    // In a cluster the notes are on several nodes, so MGET would not do.
    (client) => Promise.all(digests.map((digest) => client.getrange(keys.lastUse(digest), 0, longest))),
    signal,
  );
  return values.map((value) => {
    const time = Date.parse(value);
    return Number.isNaN(time) ? null : time;
  });
}
