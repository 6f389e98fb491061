import type { IssuedToken } from '@sallyport/authenticator';
import type { TokenRecord } from '../record.ts';
import { readRecords, type Store } from '../store.ts';
import { issuedToken } from './issued-token.ts';

/** Milliseconds for which an index outlives its newest session: by then the older ones have ended, whatever their end was. */
const longestSession = 31 * 86_400_000;

/** The newest sessions of one user that are listed. No one has as many who is limited to some. */
const mostListed = 1_000;

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
    await client.pexpire(index, longestSession);
  }, signal);
}

/**
 * The sessions of a user. Those that Redis has deleted, or that are revoked, leave the index: the latter are listed this one
 * time. A record that can't be read is none of theirs.
 */
export async function* listSessions(username: string, store: Store, signal: AbortSignal): AsyncGenerator<IssuedToken> {
  const { connection, keys } = store;
  const index = keys.sessionsOf(username);
  const members = await connection.run((client) => client.zrange(index, String(-mostListed), '-1'), signal);
  const digests = members.filter((one) => /^[0-9a-f]{64}$/.test(one));
  const records = await readRecords(digests, store, signal);
  const isGone = (found: (typeof records)[number]) =>
    found === undefined || ('record' in found && found.record.revokedAt !== undefined);
  const gone = digests.filter((_, at) => isGone(records[at]));
  if (gone.length > 0) await connection.run((client) => client.zrem(index, ...gone), signal);
  for (const [at, digest] of digests.entries()) {
    const found = records[at];
    if (found === undefined || 'problem' in found) continue;
    const { record } = found;
    if (record.session !== undefined && record.username === username) yield issuedToken({ ...found, digest });
  }
}
