import { isIP, type Socket } from 'node:net';

/**
 * Allows at most `limit` open sockets. One more closes the oldest of the address that has the most: a client that opens
 * thousands closes its own, and a client at any other address still gets in. A client at the same address gets in too,
 * if it needs less time than `limit` further connections. Of IPv6, a /64 counts as one address.
 *
 * @param onClosed called with the address, or the network
 */
export function createSocketLimit(limit: number, onClosed: (address: string) => void) {
  const addressOf = new Map<Socket, string>();
  /** The sockets of each address, in the order in which they came. */
  const addresses = new Map<string, Set<Socket>>();
  const remove = (socket: Socket) => {
    const address = addressOf.get(socket);
    if (address === undefined) return;
    addressOf.delete(socket);
    const sockets = addresses.get(address);
    sockets?.delete(socket);
    if (sockets?.size === 0) addresses.delete(address);
  };
  return {
    add(socket: Socket) {
      const address = networkOf(socket.remoteAddress ?? 'unknown');
      addressOf.set(socket, address);
      addresses.set(address, (addresses.get(address) ?? new Set()).add(socket));
      socket.once('close', () => remove(socket));
      if (addressOf.size <= limit) return;
      let largest: ReadonlySet<Socket> = new Set();
      for (const sockets of addresses.values()) if (sockets.size > largest.size) largest = sockets;
      const oldest = largest.values().next().value;
      if (oldest === undefined) return;
      onClosed(addressOf.get(oldest) ?? address);
      remove(oldest);
      oldest.destroy();
    },
    delete: remove,
  };
}

/** What counts as one client: of IPv6 a /64, in which one machine takes any address that it likes. */
export function networkOf(given: string): string {
  const address = plain(given);
  if (isIP(address) !== 6) return address;
  const [before = '', after] = address.split('%', 1)[0]?.split('::') ?? [];
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  const zeros = after === undefined ? 0 : Math.max(0, 8 - head.length - tail.length);
  const groups = [...head, ...Array.from({ length: zeros }, () => '0'), ...tail];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

/** An IPv4 address may be written as IPv6. */
export function plain(address: string): string {
  return address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
}
