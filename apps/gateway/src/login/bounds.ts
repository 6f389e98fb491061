import { type BlockList, isIP, isIPv6 } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { Rate } from '../config/login.ts';
import type { ServerRequest } from '../server/http-server.ts';
import { networkOf, plain } from '../server/socket-limit.ts';

/** Beyond it the addresses that tried longest ago begin anew: whoever has as many is not stopped by their number. */
const mostAddresses = 50_000;

export type AddressLimit = ReturnType<typeof createAddressLimit>;

/** Counts the tries that each address has left. They come back evenly over time. @param now monotonic milliseconds */
export function createAddressLimit(rate: () => Rate, now: () => number) {
  // `max` would allocate all slots at once.
  const buckets = new LRUCache<string, { left: number; at: number }>({
    maxSize: mostAddresses,
    sizeCalculation: () => 1,
  });
  return {
    /** Takes a try. @returns gives it back, when it was no guess; or the seconds after which there is one again */
    take(address: string): (() => void) | number {
      const { count, per } = rate();
      const key = networkOf(address);
      const bucket = buckets.get(key) ?? { left: count, at: now() };
      bucket.left = Math.min(count, bucket.left + ((now() - bucket.at) * count) / per);
      bucket.at = now();
      buckets.set(key, bucket);
      if (bucket.left < 1) return Math.max(1, Math.ceil(((1 - bucket.left) * per) / count / 1000));
      bucket.left -= 1;
      let isTaken = true;
      return () => {
        if (isTaken) bucket.left += 1;
        isTaken = false;
      };
    },
  };
}

/** More of a header is not looked at: each proxy adds one. */
const mostHops = 16;

/**
 * The address that a request came from. A proxy adds the address of its client at the end of `X-Forwarded-For`, so
 * what a client has written itself is before that: the last address that is no proxy counts.
 */
export function clientAddress(request: ServerRequest, proxies: BlockList): string {
  let address = plain(request.socket?.remoteAddress ?? '');
  const header = request.headers['x-forwarded-for'];
  const hops = typeof header === 'string' ? header.split(',').slice(-mostHops) : [];
  while (isIP(address) !== 0 && proxies.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')) {
    // Some proxies write `192.0.2.1:5678`, or `[2001:db8::1]:5678`.
    const hop = hops
      .pop()
      ?.trim()
      .replace(/^\[([^\]]*)\](:\d+)?$|^([\d.]+):\d+$/, '$1$3');
    const next = plain(hop ?? '');
    if (isIP(next) === 0) break;
    address = next;
  }
  return address;
}

/**
 * Creates a queue in which each waits for a turn of the event loop of its own. One turn can bring the requests of hundreds of people, each some
 * milliseconds of work with its 429: done together, they would make token reviews wait.
 */
export function createTurns(): () => Promise<void> {
  let last = Promise.resolve();
  return () => {
    last = last.then(() => nextTurn());
    return last;
  };
}
