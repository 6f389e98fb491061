import type { Socket } from 'node:net';

/** Open sockets of all peers that have to be few. */
export interface Crowd {
  add(socket: Socket): void;
  delete(socket: Socket): void;
}

/**
 * Holds `limit` sockets at most. One more closes the oldest of the address that has the most: whoever opens thousands
 * pushes out their own, and a client from anywhere else still gets in. A client from the same address gets in too, when
 * it needs less time than `limit` further connections.
 *
 * @param onClosed called with the address
 */
export function createCrowd(limit: number, onClosed: (address: string) => void): Crowd {
  const members = new Map<Socket, string>();
  /** Both in the order in which they came. */
  const addresses = new Map<string, Set<Socket>>();

  const remove = (socket: Socket) => {
    const address = members.get(socket);
    if (address === undefined) return;
    members.delete(socket);
    const sockets = addresses.get(address);
    sockets?.delete(socket);
    if (sockets?.size === 0) addresses.delete(address);
  };
  const oldestOfLargest = (): Socket | undefined => {
    let largest: ReadonlySet<Socket> = new Set();
    for (const sockets of addresses.values()) if (sockets.size > largest.size) largest = sockets;
    return largest.values().next().value;
  };

  return {
    add(socket) {
      const address = socket.remoteAddress ?? 'unknown';
      members.set(socket, address);
      const sockets = addresses.get(address) ?? new Set();
      addresses.set(address, sockets.add(socket));
      socket.once('close', () => remove(socket));
      if (members.size <= limit) return;
      const victim = oldestOfLargest();
      if (victim === undefined) return;
      onClosed(members.get(victim) ?? address);
      remove(victim);
      victim.destroy();
    },
    delete: remove,
  };
}
