import type { IssuedToken, TokenFilter, UnreadableToken } from '@sallyport/authenticator';
import { knownMasters, type Redis } from '@sallyport/redis-connection';
import type { TokenRecord } from '../record.ts';
import { readRecords, type Store } from '../store.ts';
import { issuedToken } from './issued-token.ts';

/** The number of keys that one SCAN visits. It takes a fraction of a millisecond, for which other commands wait. */
const pageSize = 250;

/** The number of digits of a SHA-256. */
const wholeDigest = 64;

/** All tokens that match, each once. They are read page by page, so other commands do not wait. */
export async function* listTokens(
  { username, digest: start = '' }: TokenFilter,
  store: Store,
  tracksLastUse: boolean,
  signal: AbortSignal,
): AsyncGenerator<IssuedToken | UnreadableToken> {
  const pages: readonly Page[] | AsyncIterable<Page> =
    start.length === wholeDigest ? [{ digests: [start] }] : scan(start, store, signal);
  for await (const { digests, node } of pages) {
    const records = await readRecords(digests, store, signal, node);
    const lastUses = tracksLastUse ? await readLastUse(digests, store, signal) : [];
    for (const [index, digest] of digests.entries()) {
      const stored = records[index];
      // The key has expired since it was listed.
      if (stored === undefined) continue;
      if ('problem' in stored) yield { digest, problem: stored.problem };
      else if (username === undefined || stored.record.username === username) {
        yield issuedToken({ ...stored, digest, lastUsedAt: lastUses[index] });
      }
    }
  }
}

interface Page {
  readonly digests: readonly string[];
  /** The node that has them. If it is left out, any node may have them. */
  readonly node?: Redis;
}

/** Finds the tokens whose digest begins with `digestStart`, each once. */
async function* scan(
  digestStart: string,
  { connection, keys }: Store,
  signal: AbortSignal,
): AsyncGenerator<Page> {
  // SCAN may return a key twice while Redis resizes its table of keys, and a cluster while a slot moves.
  const listedDigests = new Set<string>();
  const isNew = (digest: string) => listedDigests.size < listedDigests.add(digest).size;
  for (const node of await connection.run(knownMasters, signal)) {
    let cursor = '0';
    do {
      const command = () =>
        node.scan(cursor, 'MATCH', keys.pattern(digestStart), 'COUNT', pageSize);
      const [next, names] = await connection.run(command, signal);
      cursor = next;
      const digests = names.flatMap((name) => keys.readDigest(name) ?? []).filter(isNew);
      if (digests.length > 0) yield { digests, node };
    } while (cursor !== '0');
  }
}

/** No note has more characters. */
const maxNoteLength = 64;

/**
 * Reads from the notes of the gateway when tokens were last used.
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
    (client) =>
      Promise.all(digests.map((digest) => client.getrange(keys.lastUse(digest), 0, maxNoteLength))),
    signal,
  );
  return values.map((value) => {
    const time = Date.parse(value);
    return Number.isNaN(time) ? null : time;
  });
}

/** Milliseconds for which an index outlives its newest session: by then the older ones have ended, whatever their end was. */
const maxSessionLifetime = 31 * 86_400_000;

/** Milliseconds. A younger note stays without a record: the replica that wrote it may be about to write the record. */
const recordFollowsWithin = 600_000;

/** The newest sessions of one user that are listed. A user whose sessions are limited has fewer. */
const maxListed = 1_000;

/**
 * Notes a new session in the index of its user: a sorted set of digests, by the time at which they were issued. In a cluster
 * the index is on another node than the record, so the two are not written in one step.
 */
export async function noteSession(
  { username, issuedAt = 0 }: TokenRecord,
  digest: string,
  { connection, keys }: Store,
  signal: AbortSignal,
): Promise<void> {
  const index = keys.userSessions(username);
  await connection.run(async (client) => {
    await client.zadd(index, issuedAt, digest);
    await client.pexpire(index, maxSessionLifetime);
  }, signal);
}

/**
 * Lists the sessions of a user. It removes from the index those that Redis has deleted or that are revoked: a revoked
 * session is listed once more. A record that can't be read does not count as a session of the user.
 */
export async function* listSessions(
  username: string,
  store: Store,
  signal: AbortSignal,
): AsyncGenerator<IssuedToken> {
  const { connection, keys } = store;
  const index = keys.userSessions(username);
  const noted = await connection.run(
    (client) => client.zrange(index, String(-maxListed), '-1', 'WITHSCORES'),
    signal,
  );
  // Members and their scores alternate.
  const notes = noted.flatMap((digest, position) =>
    /^[0-9a-f]{64}$/.test(digest) ? [{ digest, issuedAt: Number(noted[position + 1]) }] : [],
  );
  const digests = notes.map(({ digest }) => digest);
  const records = await readRecords(digests, store, signal);
  const oldest = store.now() - recordFollowsWithin;
  const isGone = (stored: (typeof records)[number], issuedAt: number) =>
    stored === undefined
      ? issuedAt < oldest
      : 'record' in stored && stored.record.revokedAt !== undefined;
  const goneDigests = notes.flatMap(({ digest, issuedAt }, position) =>
    isGone(records[position], issuedAt) ? [digest] : [],
  );
  if (goneDigests.length > 0)
    await connection.run((client) => client.zrem(index, ...goneDigests), signal);
  for (const [position, digest] of digests.entries()) {
    const stored = records[position];
    if (stored === undefined || 'problem' in stored) continue;
    const { record } = stored;
    if (record.session !== undefined && record.username === username)
      yield issuedToken({ ...stored, digest });
  }
}
