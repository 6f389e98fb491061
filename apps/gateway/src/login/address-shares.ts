import { createInFlight, type InFlight } from '../http/limits.ts';
import { nameNetwork } from '../http/socket-limit.ts';
import { maxAddressShare } from './limits.ts';

export type AddressShares = ReturnType<typeof createAddressShares>;

/** Counts requests in progress, those of each address by themselves: no address takes the slots of all others. */
export function createAddressShares() {
  const total = createInFlight();
  const shares = new Map<string, InFlight>();
  return {
    /**
     * Counts a request.
     *
     * @returns a function that ends the count; undefined if there are too many, in all or of this address
     */
    enter(address: string, limit: number): (() => void) | undefined {
      const network = nameNetwork(address);
      const share = shares.get(network) ?? createInFlight();
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
