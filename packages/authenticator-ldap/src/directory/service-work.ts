import { AuthenticatorError } from '@sallyport/authenticator';
import { ServerFault } from '../connection/server-fault.ts';
import type { Connection } from '../connection/types.ts';
import type { ConnectionPool } from './connection-pool.ts';
import type { Lease } from './lease.ts';
import type { LentConnection } from './search-connection.ts';
import type { SearchConnection } from './types.ts';

export type Work<T> = (connection: SearchConnection) => Promise<T>;

/**
 * A connection that was used before did not answer any more. That may be a firewall that forgot it, and not the
 * server: a fresh connection is worth a try when no other server is left.
 */
export class SilentConnection extends Error {
  override readonly name = 'SilentConnection';
  readonly fault: ServerFault;

  constructor(fault: ServerFault) {
    super(fault.message);
    this.fault = fault;
  }
}

/**
 * Does the work on a connection of the pool. One that the server had closed is replaced by a fresh one at once: to close
 * what is idle is a server's right.
 *
 * @throws SilentConnection
 * @throws as `ConnectionPool.acquire`, and what `work` throws
 */
export async function workOnPool<T>(
  pool: ConnectionPool,
  lend: (connection: Connection) => LentConnection,
  work: Work<T>,
  signal: AbortSignal,
): Promise<T> {
  const lease = await pool.acquire(signal);
  try {
    return await workOnce(lease, lend, work);
  } catch (error) {
    if (!lease.reused || signal.aborted || !(error instanceof ServerFault)) throw error;
    if (error.kind === 'timeout') {
      pool.dropIdle();
      throw new SilentConnection(error);
    }
    if (error.kind !== 'closed') throw error;
    await lease.renew(signal);
    return await workOnce(lease, lend, work);
  } finally {
    lease.release(false);
  }
}

/** Gives the lease back if its connection can be used again, and leaves it to the caller if not. */
async function workOnce<T>(lease: Lease, lend: (connection: Connection) => LentConnection, work: Work<T>): Promise<T> {
  const lent = lend(lease.connection);
  let isSound = false;
  try {
    const value = await work(lent.connection);
    isSound = true;
    return value;
  } catch (error) {
    // About this one login: the connection did what it was asked for.
    isSound = AuthenticatorError.is(error);
    throw error;
  } finally {
    const isQuiet = lent.takeBack();
    if (isSound && isQuiet) lease.release(true);
  }
}
