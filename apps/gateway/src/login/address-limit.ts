import { LRUCache } from 'lru-cache';
import type { Rate } from '../config/login.ts';
import { networkOf } from '../server/socket-limit.ts';

/** The tries that each address has left. */
export interface AddressLimit {
  /**
   * Takes a try.
   *
   * @returns gives it back, when it was no guess; or the seconds after which there is one again
   */
  take(address: string): (() => void) | number;
}

/** Beyond it the addresses that tried longest ago begin anew: whoever has as many is not stopped by their number. */
const mostAddresses = 50_000;

/**
 * Tries come back evenly over time.
 *
 * @param rate read at each try
 * @param now monotonic milliseconds
 */
export function createAddressLimit(rate: () => Rate, now: () => number): AddressLimit {
  const buckets = new LRUCache<string, { left: number; at: number }>({ max: mostAddresses });
  return {
    take(address) {
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
