import { LRUCache } from 'lru-cache';
import type { Rate } from '../config/login.ts';
import { createInFlightCounter, type InFlightCounter } from '../http/limits.ts';
import { nameNetwork } from '../http/socket-limit.ts';
import { maxAddressShare, maxCountedNames } from './limits.ts';

export type RateLimit = ReturnType<typeof createRateLimit>;

/**
 * Counts the attempts that each address has left: a network of IPv6 counts as one.
 *
 * @param now monotonic milliseconds
 */
export function createAddressLimit(rate: () => Rate, now: () => number): RateLimit {
  const { take } = createRateLimit(rate, now);
  return { take: (address) => take(nameNetwork(address)) };
}

/** Counts the attempts that each name has left. They come back evenly over time. @param now monotonic milliseconds */
export function createRateLimit(rate: () => Rate, now: () => number) {
  // `max` would allocate all slots immediately.
  const buckets = new LRUCache<string, { left: number; at: number }>({
    maxSize: maxCountedNames,
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

export type AddressShares = ReturnType<typeof createAddressShares>;

/** Counts requests in progress, those of each address by themselves: no address takes the slots of all others. */
export function createAddressShares() {
  const total = createInFlightCounter();
  const shares = new Map<string, InFlightCounter>();
  return {
    /**
     * Counts a request.
     *
     * @returns a function that ends the count; undefined if there are too many, in all or of this address
     */
    enter(address: string, limit: number): (() => void) | undefined {
      const network = nameNetwork(address);
      const share = shares.get(network) ?? createInFlightCounter();
      const leaveShare = share.enter(Math.ceil(limit * maxAddressShare));
      const leave = leaveShare && total.enter(limit);
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
