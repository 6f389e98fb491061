import type { Server } from '../connection/types.ts';

/** The servers of a directory, in the order in which a call asks them. */
export interface ServerList {
  /**
   * @param options.prefer comes first, if it is in the list
   * @throws AuthenticatorError `unavailable` when no server is known, and the reason of the signal
   */
  inOrder(options: { readonly signal: AbortSignal; readonly prefer?: Server }): Promise<readonly Server[]>;
  /** Ends lookups that are under way. */
  close(): Promise<void>;
}

/** The servers that the options name. */
export function createListedServers(
  servers: readonly Server[],
  order: 'listed' | 'spread',
  random: () => number,
): ServerList {
  // At random, so that the replicas of a gateway do not all begin with the same one.
  let turn = Math.floor(random() * servers.length);
  return {
    async inOrder({ prefer }) {
      if (order === 'listed') return preferred(servers, prefer);
      // A step that prefers a server belongs to a login that has had its turn.
      if (prefer === undefined) turn = (turn + 1) % servers.length;
      return preferred([...servers.slice(turn), ...servers.slice(0, turn)], prefer);
    },
    async close() {},
  };
}

export function preferred(servers: readonly Server[], prefer: Server | undefined): readonly Server[] {
  const first = servers.find(({ url }) => url === prefer?.url);
  return first === undefined ? servers : [first, ...servers.filter((server) => server !== first)];
}
