import type { Connection } from '../connection/types.ts';
import type { PooledConnection } from './connection-set.ts';

/** A pooled connection in the hands of one caller. */
export interface Lease {
  readonly connection: Connection;
  /** When it was acquired it had been used before, so the server may have ended it long ago. */
  readonly reused: boolean;
  /** Closes the connection and opens another in its place, without waiting. @throws as the pool's `open` */
  renew(signal: AbortSignal): Promise<void>;
  /** Gives it back, to be used again or to be closed. A second call does nothing. */
  release(reusable: boolean): void;
}

export interface LeaseDependencies {
  readonly replace: (pooled: PooledConnection, signal: AbortSignal) => Promise<PooledConnection>;
  readonly giveBack: (pooled: PooledConnection, reusable: boolean) => void;
}

export function createLease(first: PooledConnection, reused: boolean, dependencies: LeaseDependencies): Lease {
  let held: PooledConnection | undefined = first;
  const holding = () => {
    if (held === undefined) throw new Error('This connection was given back.');
    return held;
  };
  return {
    get connection() {
      return holding().connection;
    },
    reused,
    async renew(signal) {
      const old = holding();
      held = undefined;
      held = await dependencies.replace(old, signal);
    },
    release(reusable) {
      const pooled = held;
      held = undefined;
      if (pooled !== undefined) dependencies.giveBack(pooled, reusable);
    },
  };
}
