import type { Socket } from 'node:net';
import { networkOf } from './client-network.ts';

/** Open sockets whose number is limited. */
export interface SocketLimit {
  add(socket: Socket): void;
  delete(socket: Socket): void;
}

/**
 * Allows at most `limit` sockets. One more closes the oldest of the address that has the most: a client that opens
 * thousands closes its own, and a client at any other address still gets in. A client at the same address gets in too,
 * if it needs less time than `limit` further connections. Of IPv6, a /64 counts as one address.
 *
 * @param onClosed called with the address, or the network
 */
export function createSocketLimit(limit: number, onClosed: (address: string) => void): SocketLimit {
  const addressOf = new Map<Socket, string>();
  /** The addresses, and the sockets of each, in the order in which they came. */
  const addresses = new Map<string, Set<Socket>>();

  const remove = (socket: Socket) => {
    const address = addressOf.get(socket);
    if (address === undefined) return;
    addressOf.delete(socket);
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
      const address = networkOf(socket.remoteAddress ?? 'unknown');
      addressOf.set(socket, address);
      const sockets = addresses.get(address) ?? new Set();
      addresses.set(address, sockets.add(socket));
      socket.once('close', () => remove(socket));
      if (addressOf.size <= limit) return;
      const oldest = oldestOfLargest();
      if (oldest === undefined) return;
      onClosed(addressOf.get(oldest) ?? address);
      remove(oldest);
      oldest.destroy();
    },
    delete: remove,
  };
}
