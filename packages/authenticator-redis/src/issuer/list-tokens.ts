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
  { username, digest = '' }: TokenFilter,
  store: Store,
  tracksLastUse: boolean,
  signal: AbortSignal,
): AsyncGenerator<IssuedToken | UnreadableToken> {
  const pages: readonly Page[] | AsyncIterable<Page> =
    digest.length === wholeDigest ? [{ digests: [digest] }] : scan(digest, store, signal);
  for await (const { digests, node } of pages) {
    const records = await readRecords(digests, store, signal, node);
    const lastUses = tracksLastUse ? await readLastUse(digests, store, signal) : [];
    for (const [index, one] of digests.entries()) {
      const found = records[index];
      // The key has expired since it was listed.
      if (found === undefined) continue;
      if ('problem' in found) yield { digest: one, problem: found.problem };
      else if (username === undefined || found.record.username === username) {
        yield issuedToken({ ...found, digest: one, lastUsedAt: lastUses[index] });
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
  const seen = new Set<string>();
  const isNew = (digest: string) => seen.size < seen.add(digest).size;
  for (const node of await connection.run(knownMasters, signal)) {
    let cursor = '0';
    do {
      const command = () =>
        node.scan(cursor, 'MATCH', keys.pattern(digestStart), 'COUNT', pageSize);
      const [next, names] = await connection.run(command, signal);
      cursor = next;
      const digests = names.flatMap((name) => keys.digestOf(name) ?? []).filter(isNew);
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
  const index = keys.sessionsOf(username);
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
  const index = keys.sessionsOf(username);
  const noted = await connection.run(
    (client) => client.zrange(index, String(-maxListed), '-1', 'WITHSCORES'),
    signal,
  );
  // Members and their scores alternate.
  const notes = noted.flatMap((digest, at) =>
    /^[0-9a-f]{64}$/.test(digest) ? [{ digest, issuedAt: Number(noted[at + 1]) }] : [],
  );
  const digests = notes.map(({ digest }) => digest);
  const records = await readRecords(digests, store, signal);
  const oldest = store.now() - recordFollowsWithin;
  const isGone = (found: (typeof records)[number], issuedAt: number) =>
    found === undefined
      ? issuedAt < oldest
      : 'record' in found && found.record.revokedAt !== undefined;
  const gone = notes.flatMap(({ digest, issuedAt }, at) =>
    isGone(records[at], issuedAt) ? [digest] : [],
  );
  if (gone.length > 0) await connection.run((client) => client.zrem(index, ...gone), signal);
  for (const [at, digest] of digests.entries()) {
    const found = records[at];
    if (found === undefined || 'problem' in found) continue;
    const { record } = found;
    if (record.session !== undefined && record.username === username)
      yield issuedToken({ ...found, digest });
  }
}
