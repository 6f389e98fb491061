import type { Transport } from './http-server.ts';
import { createFairLimit } from './socket-limit.ts';

/**
 * Identifies the client of a new connection if all its requests will be refused.
 *
 * @returns the fingerprint of its certificate, or undefined for any other client
 */
export type IdentifyRefused = (transport: Transport) => string | undefined;

/**
 * The maximum number of connections of clients whose requests are refused. Anyone with a certificate of the client CA, such as each
 * kubelet, can be one, while one connection is enough to read the refusal.
 */
const maxConnections = 8;

/** The maximum number of requests in progress on one of their HTTP/2 sessions, and of requests that they may reset together. */
export const refusedStreams = 4;

/** The milliseconds in which a client that reset too many requests gets no connection. */
const pauseAfterMisuse = 10_000;

/**
 * Limits the connections of clients whose requests are refused: one more ends the oldest of the address that has the
 * most.
 *
 * @param now monotonic milliseconds
 */
export function createRefusedClients(now: () => number) {
  const connections = createFairLimit<Transport>(
    () => maxConnections,
    (transport) => void transport.destroy(),
  );
  /** When the pause of each fingerprint ends, the first in front. */
  const pauses = new Map<string, number>();
  const dropPast = () => {
    for (const [fingerprint, end] of pauses) {
      if (now() < end) break;
      pauses.delete(fingerprint);
    }
  };
  return {
    /** Adds a connection, or ends it if its client is refused for a while. */
    add(transport: Transport, fingerprint: string, network: string) {
      dropPast();
      if (pauses.has(fingerprint)) {
        transport.destroy();
        return;
      }
      transport.once('close', () => connections.delete(transport));
      connections.add(transport, network);
    },
    /** Refuses new connections of a client for ten seconds. */
    refuse(fingerprint: string) {
      pauses.delete(fingerprint);
      pauses.set(fingerprint, now() + pauseAfterMisuse);
    },
  };
}
