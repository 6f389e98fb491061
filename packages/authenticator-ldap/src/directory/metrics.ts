import type { Metrics } from '@sallyport/authenticator';
import { ServerFault } from '../connection/server-fault.ts';
import { resultCodeName } from './result-codes.ts';
import type { Use } from './server-circuit.ts';

/** What a connection is at: `opening` until it is connected and bound, `busy` while a login or a check uses it. */
type ConnectionState = 'opening' | 'idle' | 'busy';

/** Keeps the number of connections by state. */
export interface Tally {
  enter(state: ConnectionState): void;
  move(from: ConnectionState, to: ConnectionState): void;
  leave(state: ConnectionState): void;
}

/** What is measured of one server. Times are in milliseconds here. */
export interface ServerMetrics {
  readonly tally: Tally;
  circuit(isOpen: boolean): void;
  waited(milliseconds: number): void;
  connected(result: string): void;
  bound(use: Use, result: string, milliseconds: number): void;
  searched(result: string, milliseconds: number): void;
}

/** SRV records choose names of servers: so many stand in labels, and all later ones are `other`. */
const mostServerLabels = 64;

/** Made once for a directory. Gives the metrics of the server with that URL. */
export function createServerMetrics(metrics: Metrics): (url: string) => ServerMetrics {
  const make = makeMetrics(metrics);
  const known = new Set<string>();

  return (url) => {
    if (known.size < mostServerLabels) known.add(url);
    const server = known.has(url) ? url : 'other';
    const count = (state: ConnectionState, by: 1 | -1) => {
      if (by === 1) make.connections.inc({ server, state });
      else make.connections.dec({ server, state });
    };
    make.circuit.set({ server }, 0);
    return {
      tally: {
        enter: (state) => count(state, 1),
        leave: (state) => count(state, -1),
        move(from, to) {
          count(from, -1);
          count(to, 1);
        },
      },
      circuit: (isOpen) => make.circuit.set({ server }, isOpen ? 2 : 0),
      waited: (milliseconds) => make.waits.observe({ server }, milliseconds / 1000),
      connected: (result) => make.connects.inc({ server, result }),
      bound(use, result, milliseconds) {
        make.binds.inc({ server, use, result });
        make.bindTimes.observe({ server, use }, milliseconds / 1000);
      },
      searched(result, milliseconds) {
        make.searches.inc({ server, result });
        make.searchTimes.observe({ server }, milliseconds / 1000);
      },
    };
  };
}

const results =
  'by result: a code of RFC 4511 by its name, a kind of fault (unreachable, timeout, closed, ...) or aborted';

function makeMetrics(metrics: Metrics) {
  return {
    connections: metrics.gauge({
      name: 'connections',
      help: 'Connections to a server: idle and busy ones, and those being opened. All busy for long: raise pool.max.',
      labelNames: ['server', 'state'],
    }),
    circuit: metrics.gauge({
      name: 'server_circuit_state',
      help: '0: the server is asked. 2: it failed several times in a row and is left alone until a probe succeeds.',
      labelNames: ['server'],
    }),
    waits: metrics.histogram({
      name: 'connection_wait_seconds',
      help: 'Seconds that a search waited for its turn to use or open a connection. A rise means that pool.max is too small.',
      labelNames: ['server'],
    }),
    connects: metrics.counter({
      name: 'connects_total',
      help: `Connections opened, TLS included, ${results}. Many successes mean that few are used again.`,
      labelNames: ['server', 'result'],
    }),
    binds: metrics.counter({
      name: 'binds_total',
      help: `Binds sent, as the service account or as a user, ${results}. A rise of invalidCredentials is wrong passwords.`,
      labelNames: ['server', 'use', 'result'],
    }),
    bindTimes: metrics.histogram({
      name: 'bind_duration_seconds',
      help: 'Seconds from a bind to its answer, without connecting. A rise means a slow server.',
      labelNames: ['server', 'use'],
    }),
    searches: metrics.counter({
      name: 'searches_total',
      help: `Searches, ${results}.`,
      labelNames: ['server', 'result'],
    }),
    searchTimes: metrics.histogram({
      name: 'search_duration_seconds',
      help: 'Seconds from a search to its last answer. A rise means a slow server, often an attribute without an index.',
      labelNames: ['server'],
    }),
  };
}

/**
 * Does one operation and tells how it ended and how long it took.
 *
 * @param now monotonic milliseconds
 * @throws what the operation throws
 */
export async function measured<T>(
  operation: () => Promise<T>,
  now: () => number,
  tell: (result: string, milliseconds: number) => void,
): Promise<T> {
  const began = now();
  try {
    const value = await operation();
    tell(resultOf(value), now() - began);
    return value;
  } catch (error) {
    tell(error instanceof ServerFault ? error.kind : 'aborted', now() - began);
    throw error;
  }
}

function resultOf(value: unknown): string {
  const isResult = typeof value === 'object' && value !== null && 'code' in value && typeof value.code === 'number';
  return resultCodeName(isResult ? (value.code as number) : 0);
}
