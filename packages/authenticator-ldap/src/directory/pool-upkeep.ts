import type { PoolOptions } from '../options/types.ts';
import type { ConnectionSet, PooledConnection } from './connection-set.ts';

export interface PoolUpkeepDependencies {
  readonly connections: ConnectionSet;
  readonly now: () => number;
  /** Closes one that is idle. */
  readonly drop: (pooled: PooledConnection) => void;
  /** Checks one that is idle, and closes it if it fails. Never throws. */
  readonly examine: (pooled: PooledConnection) => Promise<void>;
  /** Opens one more. Never throws. @returns whether it is there */
  readonly openSpare: () => Promise<boolean>;
}

/** What setTimeout can hold: a longer time would end at once. */
const longestTimer = 2 ** 31 - 1;

/** Closes what is idle or alive for too long, looks after the rest, and keeps `min` of them. */
export class PoolUpkeep {
  readonly #options: PoolOptions;
  readonly #dependencies: PoolUpkeepDependencies;
  // A server that is never used gets no connections.
  #state: 'unused' | 'used' | 'stopped' = 'unused';
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> | undefined;
  #filling: Promise<void> | undefined;

  constructor(options: PoolOptions, dependencies: PoolUpkeepDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** At each use. */
  use(): void {
    if (this.#state === 'unused') this.#state = 'used';
    this.#fill();
  }

  /** Whenever connections came or went. */
  look(): void {
    this.#fill();
    this.#schedule();
  }

  /** Fulfilled when the last check and the last opening have ended. */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    clearTimeout(this.#timer);
    await Promise.all([this.#checking, this.#filling]);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const { idle } = this.#dependencies.connections;
    if (this.#state === 'stopped' || idle.length === 0) return;
    const checks = this.#checking === undefined ? idle.map((pooled) => this.#checkDue(pooled)) : [];
    const next = Math.min(...idle.map((pooled) => this.#endDue(pooled)), ...checks);
    const wait = Math.ceil(next - this.#dependencies.now());
    this.#timer = setTimeout(() => this.#run(), Math.min(Math.max(wait, 1), longestTimer));
    this.#timer.unref();
  }

  #run(): void {
    const { connections, now, drop } = this.#dependencies;
    for (const pooled of [...connections.idle]) if (now() >= this.#endDue(pooled)) drop(pooled);
    this.#check();
    this.#schedule();
  }

  /** One at a time, so that the others stay free for logins. */
  #check(): void {
    const { connections, now, examine } = this.#dependencies;
    const due = connections.idle.find((pooled) => now() >= this.#checkDue(pooled));
    if (due === undefined || this.#checking !== undefined) return;
    this.#checking = examine(due).finally(() => {
      this.#checking = undefined;
      this.#schedule();
    });
  }

  #fill(): void {
    const { connections, openSpare } = this.#dependencies;
    if (this.#state !== 'used' || this.#filling !== undefined || connections.size >= this.#options.min) return;
    // When it fails, the next login that uses the server is the occasion to try again.
    this.#filling = openSpare().then((filled) => {
      this.#filling = undefined;
      if (filled) this.#fill();
    });
  }

  #checkDue({ answeredAt }: PooledConnection): number {
    return answeredAt + this.#options.healthCheckInterval;
  }

  #endDue({ expiresAt, idleSince }: PooledConnection): number {
    const { min, idleTimeout } = this.#options;
    return this.#dependencies.connections.size > min ? Math.min(expiresAt, idleSince + idleTimeout) : expiresAt;
  }
}
