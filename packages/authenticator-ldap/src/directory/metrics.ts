import type { Metrics } from '@sallyport/authenticator';
import { ServerError } from '../connection/server-error.ts';
import { resultCodeName } from './result-codes.ts';
import type { Use } from './server-circuit.ts';

/** SRV records choose the names of servers. The first ones become labels, and all later ones are `other`. */
const maxServerLabels = 64;

export type ServerMetrics = ReturnType<ReturnType<typeof createServerMetrics>>;

export type PoolMetrics = ReturnType<ServerMetrics['pool']>;

/** Creates the metrics of a directory. They take times in milliseconds. */
export function createServerMetrics(metrics: Metrics) {
  const serverMetrics = makeMetrics(metrics);
  const labels = new Set<string>();

  return (url: string) => {
    if (labels.size < maxServerLabels) labels.add(url);
    const server = labels.has(url) ? url : 'other';
    serverMetrics.circuit.set({ server }, 0);
    return {
      pool: (use: Use) => ({
        /** @param state `opening` until the connection is bound, `busy` while a login or a check uses it */
        connections(state: 'opening' | 'idle' | 'busy', change: 1 | -1): void {
          if (change === 1) serverMetrics.connections.inc({ server, use, state });
          else serverMetrics.connections.dec({ server, use, state });
        },
        waited(milliseconds: number): void {
          if (use === 'service') serverMetrics.waits.observe({ server }, milliseconds / 1000);
        },
      }),
      circuit: (isOpen: boolean) => serverMetrics.circuit.set({ server }, isOpen ? 2 : 0),
      connected: (result: string) => serverMetrics.connects.inc({ server, result }),
      bound(use: Use, result: string, milliseconds: number): void {
        serverMetrics.binds.inc({ server, use, result });
        serverMetrics.bindTimes.observe({ server, use }, milliseconds / 1000);
      },
      searched(result: string, milliseconds: number): void {
        serverMetrics.searches.inc({ server, result });
        serverMetrics.searchTimes.observe({ server }, milliseconds / 1000);
      },
    };
  };
}

const results =
  'by result: the name of a result code in RFC 4511, a kind of error (unreachable, timeout, closed, ...) or aborted';

function makeMetrics(metrics: Metrics) {
  return {
    connections: metrics.gauge({
      name: 'connections',
      help: 'Open connections to a server, by use (service: searches, user: binds of users) and state (opening, idle, busy). If all of the service are busy for long, raise pool.max.',
      labelNames: ['server', 'use', 'state'],
    }),
    circuit: metrics.gauge({
      name: 'server_circuit_state',
      help: 'The circuit of a server. 0: closed, the server is used. 2: open after consecutive failures, the server is skipped until a probe succeeds.',
      labelNames: ['server'],
    }),
    waits: metrics.histogram({
      name: 'connection_wait_seconds',
      help: 'Seconds that a search waited for a connection. A rise means that pool.max is too small.',
      labelNames: ['server'],
    }),
    connects: metrics.counter({
      name: 'connects_total',
      help: `Connections opened, TLS included, ${results}. Many successes mean that few are used again.`,
      labelNames: ['server', 'result'],
    }),
    binds: metrics.counter({
      name: 'binds_total',
      help: `Binds sent, as the service account or as a user, ${results}. A rise of invalidCredentials means wrong passwords.`,
      labelNames: ['server', 'use', 'result'],
    }),
    bindTimes: metrics.histogram({
      name: 'bind_duration_seconds',
      help: 'Seconds from a bind to its answer, without the time to connect. A rise means a slow server.',
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

export async function measured<T>(
  operation: () => Promise<T>,
  now: () => number,
  record: (result: string, milliseconds: number) => void,
): Promise<T> {
  const began = now();
  try {
    const value = await operation();
    const isResult =
      typeof value === 'object' &&
      value !== null &&
      'code' in value &&
      typeof value.code === 'number';
    record(resultCodeName(isResult ? (value.code as number) : 0), now() - began);
    return value;
  } catch (error) {
    record(error instanceof ServerError ? error.kind : 'aborted', now() - began);
    throw error;
  }
}
