import type { ServerError } from '../connection/server-error.ts';

/**
 * - `busy`: all its connections stayed in use
 * - `refused`: it refuses the service account
 * - `unavailable`: its circuit is open, its first connection is not there yet, or it has left the list of servers
 */
export type SkipReason = 'busy' | 'refused' | 'unavailable';

/**
 * A server was not asked, for a reason that its circuit has counted already or must not count: the next one is asked.
 * It never leaves the directory: when no server is left, its message becomes part of the AuthenticatorError's.
 */
export class ServerSkipped extends Error {
  override readonly name = 'ServerSkipped';
  readonly reason: SkipReason;

  constructor(reason: SkipReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/**
 * A connection that was used before did not answer any more. A firewall may have dropped it, so that the server is not
 * to blame: a fresh connection is worth a try when no other server is left.
 */
export class StaleConnection extends Error {
  override readonly name = 'StaleConnection';
  readonly error: ServerError;

  constructor(error: ServerError) {
    super(error.message);
    this.error = error;
  }
}
