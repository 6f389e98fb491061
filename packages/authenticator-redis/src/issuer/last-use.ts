import type { Store } from './store.ts';

/**
 * When tokens were used last, as far as the gateway notes it.
 *
 * @returns milliseconds since 1970 or null for never, in the order of the digests; undefined when it is not tracked
 */
export async function readLastUse(
  digests: readonly string[],
  { connection, keys, tracksLastUse }: Store,
  signal: AbortSignal,
): Promise<readonly (number | null)[] | undefined> {
  if (!tracksLastUse) return undefined;
  const values = await connection.run(
    // Each by itself: in a cluster they are on several nodes.
    (client) => Promise.all(digests.map((digest) => client.get(keys.lastUse(digest)))),
    signal,
  );
  return values.map((value) => {
    const moment = value === null ? Number.NaN : Date.parse(value);
    return Number.isNaN(moment) ? null : moment;
  });
}
