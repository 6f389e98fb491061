import { Resolver } from 'node:dns/promises';
import type { SrvRecord } from './srv-records.ts';

/** Looks up SRV records. @throws Error of `node:dns`, or the signal's reason */
export type ResolveSrv = (name: string, signal: AbortSignal) => Promise<readonly SrvRecord[]>;

/**
 * @param nameServers `address` or `address:port`; empty: the system's
 * @param timeout milliseconds until the next name server is asked
 */
export function createSrvResolver(nameServers: readonly string[], timeout: number): ResolveSrv {
  return async (name, signal) => {
    signal.throwIfAborted();
    // One for each lookup, as `cancel` ends all that a resolver does.
    const resolver = new Resolver({ timeout, tries: 2 });
    if (nameServers.length > 0) resolver.setServers([...nameServers]);
    const cancel = () => resolver.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      return await resolver.resolveSrv(name);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  };
}
