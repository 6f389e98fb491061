import { isIP, type Socket } from 'node:net';

/**
 * Allows at most `limit` things at a time, such as sockets. One more ends the oldest of the address that has the most:
 * a client that begins thousands ends its own, and a client at any other address still gets in. A client at the same
 * address gets in, too, if it needs less time than `limit` further ones. Of IPv6, a /64 counts as one address.
 *
 * @param end is called with the one that has to go, and its address or network
 */
export function createFairLimit<One>(
  limit: number | (() => number),
  end: (one: One, address: string) => void,
) {
  const addressOf = new Map<One, string>();
  /** What each address has, in the order in which it came. */
  const addresses = new Map<string, Set<One>>();
  const remove = (one: One) => {
    const address = addressOf.get(one);
    if (address === undefined) return;
    addressOf.delete(one);
    const all = addresses.get(address);
    all?.delete(one);
    if (all?.size === 0) addresses.delete(address);
  };
  return {
    /** Adds one. @param from the address that it came from */
    add(one: One, from: string) {
      const address = networkOf(from);
      addressOf.set(one, address);
      addresses.set(address, (addresses.get(address) ?? new Set()).add(one));
      if (addressOf.size <= (typeof limit === 'number' ? limit : limit())) return;
      let largest: ReadonlySet<One> = new Set();
      for (const all of addresses.values()) if (all.size > largest.size) largest = all;
      const [oldest] = largest;
      if (oldest === undefined) return;
      const ended = addressOf.get(oldest) ?? address;
      remove(oldest);
      end(oldest, ended);
    },
    delete: remove,
  };
}

export type FairLimit<One> = ReturnType<typeof createFairLimit<One>>;

/**
 * Allows at most `limit` open sockets: see {@link createFairLimit}.
 *
 * @param onClosed is called with the address, or the network
 */
export function createSocketLimit(limit: number, onClosed: (address: string) => void) {
  const sockets = createFairLimit<Socket>(limit, (socket, address) => {
    onClosed(address);
    socket.destroy();
  });
  return {
    add(socket: Socket) {
      socket.once('close', () => sockets.delete(socket));
      sockets.add(socket, socket.remoteAddress ?? 'unknown');
    },
    delete: sockets.delete,
  };
}

/**
 * Names what counts as one client: an IPv4 address, or a /64 of IPv6, in which one machine takes any address that it
 * likes.
 */
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

/** Returns an address in lower case, and an IPv4 address that is mapped to IPv6 as IPv4. */
export function plain(address: string): string {
  return address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
}
