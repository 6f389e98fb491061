import type { Store } from './store.ts';

/** Characters of a note, and some more. */
const longest = 64;

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
    (client) => Promise.all(digests.map((digest) => client.getrange(keys.lastUse(digest), 0, longest))),
    signal,
  );
  return values.map((value) => {
    const moment = Date.parse(value);
    return Number.isNaN(moment) ? null : moment;
  });
}
