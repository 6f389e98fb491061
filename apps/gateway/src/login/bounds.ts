import { type BlockList, isIP, isIPv6 } from 'node:net';
import { LRUCache } from 'lru-cache';
import type { Rate } from '../config/login.ts';
import type { ServerRequest } from '../http/http-server.ts';
import { createInFlight, type InFlight } from '../http/limits.ts';
import { networkOf, plain } from '../http/socket-limit.ts';

/**
 * The most names that are counted. Beyond it, the names whose last attempt is the oldest are forgotten: their limit
 * begins again.
 */
const maxNames = 50_000;

export type RateLimit = ReturnType<typeof createRateLimit>;

/**
 * Counts the attempts that each address has left: a network of IPv6 counts as one.
 *
 * @param now monotonic milliseconds
 */
export function createAddressLimit(rate: () => Rate, now: () => number): RateLimit {
  const { take } = createRateLimit(rate, now);
  return { take: (address) => take(networkOf(address)) };
}

/** Counts the attempts that each name has left. They come back evenly over time. @param now monotonic milliseconds */
export function createRateLimit(rate: () => Rate, now: () => number) {
  // `max` would allocate all slots immediately.
  const buckets = new LRUCache<string, { left: number; at: number }>({
    maxSize: maxNames,
    sizeCalculation: () => 1,
  });
  return {
    /**
     * Takes an attempt.
     *
     * @returns a function that gives it back, for an attempt that was not a guess; or, if there is none left, the
     *   seconds after which there is one again, 1 at least
     */
    take(name: string): (() => void) | number {
      const { count, per } = rate();
      const bucket = buckets.get(name) ?? { left: count, at: now() };
      bucket.left = Math.min(count, bucket.left + ((now() - bucket.at) * count) / per);
      bucket.at = now();
      buckets.set(name, bucket);
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

/** The part of all slots that one address may take. */
const maxShare = 0.2;

export type Shares = ReturnType<typeof createShares>;

/** Counts requests in progress, those of each address by themselves: no address takes the slots of all others. */
export function createShares() {
  const all = createInFlight();
  const shares = new Map<string, InFlight>();
  return {
    /**
     * Counts a request.
     *
     * @returns a function that ends the count; undefined if there are too many, in all or of this address
     */
    enter(address: string, limit: number): (() => void) | undefined {
      const network = networkOf(address);
      const share = shares.get(network) ?? createInFlight();
      const leaveShare = share.enter(Math.ceil(limit * maxShare));
      const leave = leaveShare && all.enter(limit);
      if (leave === undefined) {
        leaveShare?.();
        return undefined;
      }
      shares.set(network, share);
      return () => {
        leave();
        leaveShare?.();
        if (share.count === 0) shares.delete(network);
      };
    },
  };
}

/** The most addresses of the header that are read: each proxy adds one. */
const maxHops = 16;

/**
 * Finds the address that a request came from. A proxy adds the address of its client at the end of `X-Forwarded-For`,
 * so what a client has written itself is before that: the last address that is not a proxy counts.
 */
export function clientAddress(request: ServerRequest, proxies: BlockList): string {
  let address = plain(request.socket?.remoteAddress ?? '');
  const header = request.headers['x-forwarded-for'];
  const hops = typeof header === 'string' ? header.split(',').slice(-maxHops) : [];
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
