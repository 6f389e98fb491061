import type { Connect, Connection, ConnectOptions } from '../connection/types.ts';
import { measured, type ServerMetrics } from './metrics.ts';

export interface OpenConnectionDependencies extends Omit<ConnectOptions, 'signal'> {
  readonly connect: Connect;
  readonly metrics: ServerMetrics;
  readonly now: () => number;
}

/** Connects to one server, with TLS, and no bind. @throws as `Connect` */
export type OpenConnection = (signal: AbortSignal) => Promise<Connection>;

export function createOpenConnection(dependencies: OpenConnectionDependencies): OpenConnection {
  const { connect, metrics, now, server, tls, stepTimeout } = dependencies;
  return (signal) =>
    measured(
      () => connect({ server, tls, stepTimeout, signal }),
      now,
      (result) => metrics.connected(result),
    );
}
