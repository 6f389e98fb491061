import type { Connection } from '../connection/types.ts';
import { measured, type ServerMetrics } from './metrics.ts';
import type { SearchConnection } from './types.ts';

/** A connection in the hands of someone who searches. */
export interface LentConnection {
  readonly connection: SearchConnection;
  /** Ends the loan: every later search throws. @returns whether no search is under way */
  takeBack(): boolean;
}

export function lendConnection(connection: Connection, metrics: ServerMetrics, now: () => number): LentConnection {
  let lent = true;
  let underWay = 0;

  return {
    connection: {
      async search(request, signal) {
        if (!lent) throw new Error('This connection was given back: search only while it is lent.');
        underWay++;
        try {
          return await measured(
            () => connection.search(request, signal),
            now,
            (result, milliseconds) => metrics.searched(result, milliseconds),
          );
        } finally {
          underWay--;
        }
      },
    },
    takeBack() {
      lent = false;
      return underWay === 0;
    },
  };
}
