import { AuthenticatorError } from '@sallyport/authenticator';
import { ServerError } from '../connection/server-error.ts';
import type { Connection } from '../connection/types.ts';
import type { ConnectionPool, Lease } from './connection-pool.ts';
import { StaleConnection } from './errors.ts';
import { measured, type ServerMetrics } from './metrics.ts';
import type { SearchConnection } from './types.ts';

/** What a caller does with a connection that is bound as the service account. */
export type Work<T> = (connection: SearchConnection) => Promise<T>;

/** A connection while its work runs. */
interface LentConnection {
  readonly connection: SearchConnection;
  /** Every later search throws. @returns whether no search is in progress */
  end(): boolean;
}

export type Lend = (connection: Connection) => LentConnection;

export function createLend(metrics: ServerMetrics, now: () => number): Lend {
  return (connection) => {
    let isEnded = false;
    let inProgress = 0;
    const search: SearchConnection['search'] = async (request, signal) => {
      if (isEnded) throw new Error('This connection was given back: search only while the work runs.');
      inProgress++;
      try {
        return await measured(() => connection.search(request, signal), now, metrics.searched);
      } finally {
        inProgress--;
      }
    };
    return {
      connection: { search },
      end() {
        isEnded = true;
        return inProgress === 0;
      },
    };
  };
}

interface ServiceSearches {
  readonly pool: ConnectionPool;
  readonly lend: Lend;
  /** A connection that was used before was silent: the network may have lost all of this server's. */
  readonly onDead: () => void;
}

/**
 * Does the work on a connection of the pool. One that the server had closed is replaced by a fresh one at once: to close
 * what is idle is a server's right.
 *
 * @throws StaleConnection
 * @throws as `ConnectionPool.acquire`, and what `work` throws
 */
export async function workOnPool<T>(
  { pool, lend, onDead }: ServiceSearches,
  work: Work<T>,
  signal: AbortSignal,
): Promise<T> {
  const lease = await pool.acquire(signal);
  try {
    return await workOnLease(lease, lend, work);
  } catch (error) {
    if (!lease.reused || signal.aborted || !(error instanceof ServerError)) throw error;
    if (error.kind === 'timeout') {
      onDead();
      throw new StaleConnection(error);
    }
    if (error.kind !== 'closed') throw error;
    await lease.replace(signal);
    return await workOnLease(lease, lend, work);
  } finally {
    lease.release(false);
  }
}

async function workOnLease<T>(lease: Lease, lend: Lend, work: Work<T>): Promise<T> {
  const lent = lend(lease.connection);
  let isSound = false;
  try {
    const value = await work(lent.connection);
    isSound = true;
    return value;
  } catch (error) {
    // An error about this one login: the connection did what it was asked for.
    isSound = AuthenticatorError.is(error);
    throw error;
  } finally {
    const isQuiet = lent.end();
    if (isSound && isQuiet) lease.release(true);
  }
}
