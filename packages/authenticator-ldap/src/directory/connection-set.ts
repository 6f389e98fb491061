import type { Connection } from '../connection/types.ts';
import type { Tally } from './metrics.ts';

/** A service connection with what its upkeep needs to know. Times are as `now`. */
export interface PooledConnection {
  readonly connection: Connection;
  expiresAt: number;
  idleSince: number;
  /** When the server last answered on it. */
  answeredAt: number;
}

/** Which connections there are and who has them. Decides nothing, so that the numbers can't go wrong elsewhere. */
export class ConnectionSet {
  readonly #tally: Tally;
  /** Those used last are at the end, and taken first: so the others can grow old. */
  readonly #idle: PooledConnection[] = [];
  /** Idle or busy. */
  readonly #open = new Set<PooledConnection>();
  #opening = 0;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  get idle(): readonly PooledConnection[] {
    return this.#idle;
  }

  get open(): ReadonlySet<PooledConnection> {
    return this.#open;
  }

  get opening(): number {
    return this.#opening;
  }

  /** Idle, busy and opening. */
  get size(): number {
    return this.#open.size + this.#opening;
  }

  beginOpening(): void {
    this.#opening++;
    this.#tally.enter('opening');
  }

  endOpening(): void {
    this.#opening--;
    this.#tally.leave('opening');
  }

  /** A new one, busy. */
  add(pooled: PooledConnection): void {
    this.#open.add(pooled);
    this.#tally.enter('busy');
  }

  /** From idle to busy. @returns false: it was not idle */
  take(pooled: PooledConnection | undefined): pooled is PooledConnection {
    const place = pooled === undefined ? -1 : this.#idle.lastIndexOf(pooled);
    if (place < 0) return false;
    this.#idle.splice(place, 1);
    this.#tally.move('idle', 'busy');
    return true;
  }

  /** From busy to idle. */
  shelve(pooled: PooledConnection): void {
    this.#idle.push(pooled);
    this.#tally.move('busy', 'idle');
  }

  /** Closes a busy one. */
  discard(pooled: PooledConnection): void {
    if (this.#open.delete(pooled)) this.#tally.leave('busy');
    pooled.connection.close();
  }
}
