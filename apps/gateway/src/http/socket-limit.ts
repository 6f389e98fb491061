import { isIP, type Socket } from 'node:net';

/**
 * Allows at most `limit` things at a time, such as sockets. One more ends the oldest of the address that has the most:
 * a client that begins thousands ends its own, and a client at any other address still gets in. A client at the same
 * address gets in, too, if it needs less time than `limit` further ones.
 *
 * @param limit read at each one
 * @param end is called with the one that has to go, and its network
 */
export function createFairLimit<Member>(
  limit: () => number,
  end: (member: Member, network: string) => void,
) {
  const networks = new Map<Member, string>();
  /** What each network has, in the order in which it came. */
  const members = new Map<string, Set<Member>>();
  const remove = (member: Member) => {
    const network = networks.get(member);
    if (network === undefined) return;
    networks.delete(member);
    const networkMembers = members.get(network);
    networkMembers?.delete(member);
    if (networkMembers?.size === 0) members.delete(network);
  };
  return {
    /** Adds one. @param network of the address that it came from: see {@link nameNetwork} */
    add(member: Member, network: string) {
      networks.set(member, network);
      const networkMembers = members.get(network);
      if (networkMembers === undefined) members.set(network, new Set([member]));
      else networkMembers.add(member);
      if (networks.size <= limit()) return;
      let largest: ReadonlySet<Member> = new Set();
      for (const networkMembers of members.values())
        if (networkMembers.size > largest.size) largest = networkMembers;
      const [oldest] = largest;
      if (oldest === undefined) return;
      const ended = networks.get(oldest) ?? network;
      remove(oldest);
      end(oldest, ended);
    },
    delete: remove,
  };
}

export type FairLimit<Member> = ReturnType<typeof createFairLimit<Member>>;

/**
 * Allows at most `limit` open sockets: see {@link createFairLimit}.
 *
 * @param onClosed is called with the network
 */
export function createSocketLimit(limit: number, onClosed: (network: string) => void) {
  const sockets = createFairLimit<Socket>(
    () => limit,
    (socket, network) => {
      onClosed(network);
      socket.destroy();
    },
  );
  return {
    add(socket: Socket) {
      socket.once('close', () => sockets.delete(socket));
      sockets.add(socket, nameNetwork(socket.remoteAddress ?? 'unknown'));
    },
    delete: sockets.delete,
  };
}

/**
 * Names what counts as one client: an IPv4 address, or a /64 of IPv6, in which one machine takes any address that it
 * likes.
 */
export function nameNetwork(rawAddress: string): string {
  const address = plain(rawAddress);
  if (isIP(address) !== 6) return address;
  const [headText = '', tailText] = address.split('%', 1)[0]?.split('::') ?? [];
  const head = headText === '' ? [] : headText.split(':');
  const tail = tailText === undefined || tailText === '' ? [] : tailText.split(':');
  const zeros = tailText === undefined ? 0 : Math.max(0, 8 - head.length - tail.length);
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
