import { ServerFault } from '../connection/server-fault.ts';
import type { Connection } from '../connection/types.ts';
import type { PoolOptions } from '../options/types.ts';
import { ConnectionSet, type PooledConnection } from './connection-set.ts';
import { createLease, type Lease } from './lease.ts';
import type { ServerMetrics } from './metrics.ts';
import { PassedOver } from './passed-over.ts';
import { PoolUpkeep } from './pool-upkeep.ts';
import { createWaitingLine } from './waiting-line.ts';

export interface PoolSettings extends PoolOptions {
  readonly url: string;
  /** Milliseconds that a caller waits for one of `max` connections. */
  readonly waitTimeout: number;
}

export interface PoolDependencies {
  readonly open: (signal: AbortSignal) => Promise<Connection>;
  /** Asks the server something. @throws when it does not answer well */
  readonly examine: (connection: Connection) => Promise<void>;
  /** Calls `open` for one of `min`, unless it must not be tried. It never throws: failures are its own to tell. */
  readonly inBackground: (open: (signal: AbortSignal) => Promise<void>) => Promise<void>;
  readonly metrics: Pick<ServerMetrics, 'tally' | 'waited'>;
  readonly now: () => number;
  /** At least 0, less than 1. */
  readonly random: () => number;
}

/** A connection, or the right to open one. */
type Grant = PooledConnection | 'room';

/** The service connections of one server: at most `max`, each used by one caller at a time. */
export class ConnectionPool {
  readonly #settings: PoolSettings;
  readonly #dependencies: PoolDependencies;
  readonly #connections: ConnectionSet;
  readonly #line = createWaitingLine<Grant>();
  readonly #upkeep: PoolUpkeep;
  // Until one has been opened they are opened one by one: a wrong service password goes out once, not `max` times.
  #proved = false;
  #closed = false;
  /** Raised by `renew`: what was begun before is not used again. */
  #epoch = 0;

  constructor(settings: PoolSettings, dependencies: PoolDependencies) {
    this.#settings = settings;
    this.#dependencies = dependencies;
    this.#connections = new ConnectionSet(dependencies.metrics.tally);
    this.#upkeep = new PoolUpkeep(settings, {
      connections: this.#connections,
      now: dependencies.now,
      drop: (pooled) => this.#drop(pooled),
      examine: (pooled) => this.#examine(pooled),
      openSpare: () => this.#openSpare(),
    });
  }

  /**
   * @throws PassedOver `busy` when none became free within `waitTimeout`; `left-alone` after `turnAway` and `close`
   * @throws as `open`, and the reason of the signal
   */
  async acquire(signal: AbortSignal): Promise<Lease> {
    signal.throwIfAborted();
    if (this.#closed) throw gone(this.#settings.url);
    const granted = await this.#wait(signal);
    const pooled = granted === 'room' ? await this.#open(signal) : granted;
    this.#upkeep.use();
    return createLease(pooled, granted !== 'room', {
      replace: (old, newSignal) => this.#replace(old, newSignal),
      giveBack: (held, reusable) => {
        held.idleSince = this.#dependencies.now();
        this.#giveBack(held, reusable);
      },
    });
  }

  /** Takes a connection in, or closes it when there is no room. */
  adopt(connection: Connection): void {
    const hasRoom = this.#connections.size < this.#settings.max;
    if (this.#closed || !hasRoom) connection.close();
    else this.#giveBack(this.#track(connection), true);
  }

  /** Closes those that nobody uses. */
  dropIdle(): void {
    for (const pooled of [...this.#connections.idle]) this.#drop(pooled);
  }

  /** No connection of now is used again: idle ones are closed, the others when they are given back. */
  renew(): void {
    this.#epoch++;
    for (const pooled of this.#connections.open) pooled.expiresAt = this.#dependencies.now();
    this.dropIdle();
  }

  /** Sends all who wait for a connection to another server. */
  turnAway(reason: string): void {
    this.#line.turnAway(new PassedOver('left-alone', reason));
  }

  /** Closes all connections, those in use too. Fulfilled when nothing runs in the background any more. */
  async close(): Promise<void> {
    this.#closed = true;
    const ended = this.#upkeep.stop();
    this.#line.turnAway(gone(this.#settings.url));
    this.dropIdle();
    for (const { connection } of this.#connections.open) connection.close();
    await ended;
  }

  async #wait(signal: AbortSignal): Promise<Grant> {
    const { now, metrics } = this.#dependencies;
    const began = now();
    try {
      const late = () => this.#late();
      const granted = this.#line.length > 0 ? undefined : this.#grant();
      return granted ?? (await this.#line.join({ signal, timeout: this.#settings.waitTimeout, late }));
    } finally {
      metrics.waited(now() - began);
    }
  }

  #late(): PassedOver {
    const { url, max } = this.#settings;
    return this.#connections.size < max
      ? new PassedOver('left-alone', `${url} has not yet answered on its first connection`)
      : new PassedOver('busy', `all ${max} connections to ${url} are busy: raise pool.max`);
  }

  #grant(): Grant | undefined {
    const connections = this.#connections;
    for (let last = connections.idle.at(-1); connections.take(last); last = connections.idle.at(-1)) {
      if (this.#isUsable(last)) return last;
      connections.discard(last);
    }
    const hasRoom = connections.size < this.#settings.max;
    if (!hasRoom || (!this.#proved && connections.opening > 0)) return undefined;
    connections.beginOpening();
    return 'room';
  }

  #serve(): void {
    while (!this.#closed && this.#line.length > 0) {
      const granted = this.#grant();
      if (granted === undefined) return;
      this.#line.serve(granted);
    }
  }

  /** Once the circuit has heard of the fault that made room: it may send all who wait to another server. */
  #serveSoon(): void {
    if (this.#line.length > 0) setImmediate(() => this.#serve());
  }

  /** After `beginOpening`. */
  async #open(signal: AbortSignal): Promise<PooledConnection> {
    const first = !this.#proved;
    const epoch = this.#epoch;
    let connection: Connection;
    try {
      connection = await this.#dependencies.open(signal);
    } catch (error) {
      if (error instanceof PassedOver) this.#proved = false;
      // What ended the first would end the next ones too: nobody waits long to learn it.
      if (first && error instanceof Error && !signal.aborted) this.#line.turnAway(sharedFate(error));
      this.#connections.endOpening();
      this.#serveSoon();
      throw error;
    }
    this.#connections.endOpening();
    if (this.#closed) {
      connection.close();
      throw gone(this.#settings.url);
    }
    const pooled = this.#track(connection);
    if (epoch !== this.#epoch) pooled.expiresAt = this.#dependencies.now();
    // Others may open too, now that one has.
    this.#serve();
    return pooled;
  }

  async #replace(old: PooledConnection, signal: AbortSignal): Promise<PooledConnection> {
    this.#connections.beginOpening();
    this.#connections.discard(old);
    return this.#open(signal);
  }

  /** A new connection, busy. Its age limit is spread by 10 %: what opened together must not end together. */
  #track(connection: Connection): PooledConnection {
    const { now, random } = this.#dependencies;
    const expiresAt = now() + this.#settings.maxAge * (0.9 + 0.2 * random());
    const pooled = { connection, expiresAt, idleSince: now(), answeredAt: now() };
    this.#connections.add(pooled);
    this.#proved = true;
    connection.onClose(() => this.#drop(pooled));
    return pooled;
  }

  #isUsable({ connection, expiresAt }: PooledConnection): boolean {
    return !this.#closed && connection.isOpen && this.#dependencies.now() < expiresAt;
  }

  #giveBack(pooled: PooledConnection, reusable: boolean): void {
    pooled.answeredAt = this.#dependencies.now();
    if (reusable && this.#isUsable(pooled)) {
      this.#connections.shelve(pooled);
      this.#serve();
    } else {
      this.#connections.discard(pooled);
      this.#serveSoon();
    }
    this.#upkeep.look();
  }

  /** Of one that is idle; else it is dropped when it is given back. */
  #drop(pooled: PooledConnection): void {
    if (!this.#connections.take(pooled)) return;
    this.#connections.discard(pooled);
    this.#serveSoon();
    this.#upkeep.look();
  }

  async #examine(pooled: PooledConnection): Promise<void> {
    if (!this.#connections.take(pooled)) return;
    const healthy = await this.#dependencies.examine(pooled.connection).then(
      () => true,
      () => false,
    );
    this.#giveBack(pooled, healthy);
  }

  async #openSpare(): Promise<boolean> {
    let opened = false;
    await this.#dependencies.inBackground(async (signal) => {
      this.#connections.beginOpening();
      const pooled = await this.#open(signal);
      opened = true;
      this.#giveBack(pooled, true);
    });
    return opened;
  }
}

function gone(url: string): PassedOver {
  return new PassedOver('left-alone', `${url} is no directory server any more`);
}

function sharedFate(error: Error): Error {
  const isShortage = error instanceof ServerFault && error.kind === 'shortage';
  return isShortage || error instanceof PassedOver ? error : new PassedOver('left-alone', error.message);
}
