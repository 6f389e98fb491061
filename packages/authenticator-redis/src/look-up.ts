import { AuthenticatorError } from '@sallyport/authenticator';
import { RedisProblem, readValue } from '@sallyport/redis-connection';
import { endOfKey } from './decide.ts';
import type { TokenRecord } from './record.ts';
import type { Store } from './store.ts';

export interface FoundRecord {
  readonly record: TokenRecord;
  /** When Redis deletes the record, milliseconds since 1970; undefined: never. */
  readonly keyExpiresAt: number | undefined;
}

/**
 * @param digest of the token
 * @returns undefined when Redis has no record of it
 * @throws AuthenticatorError `failed` for a bad record, when one node of a cluster is unreachable and when this machine ran
 *   out of a resource; `unavailable` for all other problems of Redis
 * @throws the signal's reason when it is aborted
 */
export async function lookUp(digest: string, store: Store, signal: AbortSignal): Promise<FoundRecord | undefined> {
  const { connection, layout, keys, now } = store;
  // The time before the command, since the time to live counts from a little later.
  const asked = now();
  try {
    const { reply, timeToLive } = await connection.run(
      (client) => readValue(client, layout.query, keys.record(digest)),
      signal,
    );
    const read = layout.read(reply);
    if (read === undefined) return undefined;
    if ('problem' in read) throw badRecord(digest, read.problem);
    return { record: read.record, keyExpiresAt: endOfKey(timeToLive, asked) };
  } catch (error) {
    if (!(error instanceof RedisProblem)) throw error;
    if (error.kind === 'type') throw badRecord(digest, `is not a ${layout.type}, as layout says`);
    throw new AuthenticatorError(isOfThisTokenAlone(error) ? 'failed' : 'unavailable', error.message);
  }
}

/**
 * Tokens on the other nodes of a cluster can still be looked up, and a shortage of this machine says nothing about Redis.
 * In both cases the circuit must stay closed.
 */
function isOfThisTokenAlone({ kind }: RedisProblem): boolean {
  return kind === 'node' || kind === 'local';
}

function badRecord(digest: string, problem: string): AuthenticatorError {
  return new AuthenticatorError('failed', `the record of the token with the SHA-256 ${digest} is bad: ${problem}`);
}
