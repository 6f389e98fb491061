import type { IssuedToken, TokenFilter, UnreadableToken } from '@sallyport/authenticator';
import { type KeptValue, knownMasters, type Redis } from '@sallyport/redis-connection';
import { endOfKey } from '../end-of-key.ts';
import { issuedToken } from './issued-token.ts';
import { readLastUse } from './last-use.ts';
import type { Store } from './store.ts';

/** Keys that one SCAN looks at: a fraction of a millisecond of Redis' time, and of everybody who waits for it. */
const pageSize = 250;

/** Every token that matches, each once. Read page by page: nobody waits for it. */
export async function* listTokens(
  { username, digest = '' }: TokenFilter,
  store: Store,
  signal: AbortSignal,
): AsyncGenerator<IssuedToken | UnreadableToken> {
  const { connection } = store;
  const nodes = await connection.run(knownMasters, signal);
  // SCAN gives a key more than once when the table of keys is being resized, and a cluster when a slot moves.
  const seen = new Set<string>();
  for (const node of nodes) {
    for await (const keys of scan(node, store.keys.pattern(digest), store, signal)) {
      const digests = keys.flatMap((key) => store.keys.digestOf(key) ?? []).filter((one) => !seen.has(one));
      for (const one of digests) seen.add(one);
      for (const token of await readPage(node, [...new Set(digests)], store, signal)) {
        if (username === undefined || 'fault' in token || token.user.username === username) yield token;
      }
    }
  }
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
  signal: AbortSignal,
): Promise<(IssuedToken | UnreadableToken)[]> {
  if (digests.length === 0) return [];
  const { layout, now } = store;
  const asked = now();
  const values = await readValues(node, digests, store, signal);
  const lastUses = await readLastUse(digests, store, signal);
  return digests.flatMap((digest, index): readonly (IssuedToken | UnreadableToken)[] => {
    const { reply, timeToLive } = values[index] ?? noValue;
    if (reply instanceof Error) return [{ digest, fault: `is no ${layout.type}, as layout says` }];
    const read = layout.read(reply);
    // It ended meanwhile.
    if (read === undefined || timeToLive === -2) return [];
    if ('fault' in read) return [{ digest, fault: read.fault }];
    const lastUsedAt = lastUses?.[index];
    return [issuedToken(read.record, { digest, keyExpiresAt: endOfKey(timeToLive, asked), lastUsedAt })];
  });
}

const noValue: KeptValue = { reply: null, timeToLive: -2 };

/** In the order of the digests; the reply is an Error where the value is of another type. */
async function readValues(
  node: Redis,
  digests: readonly string[],
  { connection, keys, layout }: Store,
  signal: AbortSignal,
): Promise<readonly KeptValue[]> {
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
