import { AuthenticatorError } from '@sallyport/authenticator';
import { type Connection, RedisProblem, readValue } from '@sallyport/redis-connection';
import { endOfKey } from './end-of-key.ts';
import type { Keys } from './keys.ts';
import type { Layout, TokenRecord } from './record/types.ts';

/** What Redis knows of a token. */
export interface Found {
  readonly record: TokenRecord;
  /** When Redis itself lets go of the record, milliseconds since 1970; undefined: never. */
  readonly keyExpiresAt: number | undefined;
}

export interface Source {
  readonly connection: Connection;
  readonly layout: Layout;
  readonly keys: Keys;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * @param digest of the token
 * @returns undefined when Redis has no record of it
 * @throws AuthenticatorError `failed` for a bad record, when one node of a cluster is not reached and when this machine ran
 *   short of something, `unavailable` when Redis could not be asked
 * @throws the signal's reason when it is aborted
 */
export async function lookUp(digest: string, source: Source, signal: AbortSignal): Promise<Found | undefined> {
  const { connection, layout, keys, now } = source;
  // From before the question: what Redis says of the rest of its time was true a little later.
  const asked = now();
  try {
    const { reply, timeToLive } = await connection.run(
      (client) => readValue(client, layout.query, keys.record(digest)),
      signal,
    );
    const read = layout.read(reply);
    if (read === undefined) return undefined;
    if ('fault' in read) throw badRecord(digest, read.fault);
    return { record: read.record, keyExpiresAt: endOfKey(timeToLive, asked) };
  } catch (error) {
    if (!(error instanceof RedisProblem)) throw error;
    if (error.kind === 'type') throw badRecord(digest, `is no ${layout.type}, as layout says`);
    throw new AuthenticatorError(isOfThisTokenAlone(error) ? 'failed' : 'unavailable', error.message);
  }
}

/**
 * The tokens of a cluster's other nodes can be looked up all the same, and what this machine ran short of says nothing of
 * Redis: in both cases the circuit must stay closed for the other users.
 */
function isOfThisTokenAlone({ kind }: RedisProblem): boolean {
  return kind === 'node' || kind === 'local';
}

function badRecord(digest: string, fault: string): AuthenticatorError {
  return new AuthenticatorError('failed', `the record of the token with the SHA-256 ${digest} is bad: ${fault}`);
}
