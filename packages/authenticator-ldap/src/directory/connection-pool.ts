import { ServerError } from '../connection/server-error.ts';
import type { Connection } from '../connection/types.ts';
import type { PoolOptions } from '../options/types.ts';
import { ServerSkipped } from './errors.ts';
import type { PoolMetrics } from './metrics.ts';
import { createQueue, type Queue } from './queue.ts';

export interface PoolSettings extends PoolOptions {
  readonly url: string;
  /** Milliseconds that a caller waits for one of `max` connections. */
  readonly waitTimeout: number;
}

export interface PoolDependencies {
  readonly open: (signal: AbortSignal) => Promise<Connection>;
  readonly metrics: PoolMetrics;
  readonly now: () => number;
  /** At least 0, less than 1. */
  readonly random: () => number;
}

/** The connections to one server that are used again: at most `max`, each used by one caller at a time. */
export interface ConnectionPool {
  /**
   * @throws ServerSkipped `busy` when none became free within `waitTimeout`; `unavailable` after `rejectWaiting` and
   *   `close`
   * @throws as `open`, and the reason of the signal
   */
  acquire(signal: AbortSignal): Promise<Lease>;
  /** Adds an open connection, or closes it when there are `max` of them. */
  adopt(connection: Connection): void;
  /** Closes those that no caller uses. */
  dropIdle(): void;
  /** No present connection is used again: idle ones are closed at once, the others when they are released. */
  renew(): void;
  /** Sends all callers that wait for a connection to another server. */
  rejectWaiting(reason: string): void;
  /** Closes all connections, those in use too. */
  close(): void;
}

/** One caller's use of a connection. */
export interface Lease {
  readonly connection: Connection;
  /** The connection was used before, so the server may have closed it long ago. */
  readonly reused: boolean;
  /** Closes the connection and opens another in its place, without waiting. @throws as the pool's `open` */
  replace(signal: AbortSignal): Promise<void>;
  /** Gives the connection back, to be used again or to be closed. A second call does nothing. */
  release(reusable: boolean): void;
}

/** A connection of the pool. Times are as `now`. */
interface Pooled {
  readonly connection: Connection;
  expiresAt: number;
  /** Closes it. Set while it is idle. */
  timer?: NodeJS.Timeout | undefined;
}

interface Pool {
  readonly settings: PoolSettings;
  readonly dependencies: PoolDependencies;
  /** Those used last are at the end, and taken first, so that surplus ones reach `idleTimeout`. */
  readonly idle: Pooled[];
  readonly busy: Set<Pooled>;
  opening: number;
  /** Callers who wait for a connection, or for the right to open one. */
  readonly queue: Queue<Pooled | 'open'>;
  /** Until one was opened they are opened one by one: a wrong service password is sent once, not `max` times. */
  hasConnected: boolean;
  isClosed: boolean;
  /** Raised by `renew`: a connection that was begun before is not used again. */
  epoch: number;
}

export function createConnectionPool(settings: PoolSettings, dependencies: PoolDependencies): ConnectionPool {
  const pool: Pool = {
    settings,
    dependencies,
    idle: [],
    busy: new Set(),
    opening: 0,
    queue: createQueue(),
    hasConnected: false,
    isClosed: false,
    epoch: 0,
  };
  const dropIdle = () => {
    for (const pooled of [...pool.idle]) drop(pool, pooled);
  };
  return {
    async acquire(signal) {
      signal.throwIfAborted();
      if (pool.isClosed) throw gone(settings);
      const granted = await waitForConnection(pool, signal);
      const pooled = granted === 'open' ? await open(pool, signal) : granted;
      return createLease(pool, pooled, granted !== 'open');
    },
    adopt(connection) {
      if (pool.isClosed || isFull(pool)) connection.close();
      else giveBack(pool, add(pool, connection), true);
    },
    dropIdle,
    renew() {
      pool.epoch++;
      for (const pooled of pool.busy) pooled.expiresAt = dependencies.now();
      dropIdle();
    },
    rejectWaiting: (reason) => pool.queue.rejectAll(new ServerSkipped('unavailable', reason)),
    close() {
      pool.isClosed = true;
      pool.queue.rejectAll(gone(settings));
      dropIdle();
      for (const { connection } of pool.busy) connection.close();
    },
  };
}

function createLease(pool: Pool, first: Pooled, reused: boolean): Lease {
  let held: Pooled | undefined = first;
  let isReused = reused;
  const holding = () => {
    if (held === undefined) throw new Error('This connection was given back.');
    return held;
  };
  return {
    get connection() {
      return holding().connection;
    },
    get reused() {
      return isReused;
    },
    async replace(signal) {
      const old = holding();
      held = undefined;
      isReused = false;
      startOpening(pool);
      discard(pool, old);
      held = await open(pool, signal);
    },
    release(reusable) {
      const pooled = held;
      held = undefined;
      if (pooled !== undefined) giveBack(pool, pooled, reusable);
    },
  };
}

async function waitForConnection(pool: Pool, signal: AbortSignal): Promise<Pooled | 'open'> {
  const { now, metrics } = pool.dependencies;
  const { url, max, waitTimeout: timeout } = pool.settings;
  const late = () =>
    isFull(pool)
      ? new ServerSkipped('busy', `all ${max} connections to ${url} are busy: raise pool.max`)
      : new ServerSkipped('unavailable', `${url} has not yet answered on its first connection`);
  const began = now();
  try {
    const granted = pool.queue.length > 0 ? undefined : grant(pool);
    return granted ?? (await pool.queue.wait({ signal, timeout, late }));
  } finally {
    metrics.waited(now() - began);
  }
}

/** An idle connection, or the right to open one, if there is any. */
function grant(pool: Pool): Pooled | 'open' | undefined {
  for (let last = pool.idle.at(-1); last !== undefined; last = pool.idle.at(-1)) {
    take(pool, last);
    if (isUsable(pool, last)) return last;
    discard(pool, last);
  }
  if (isFull(pool) || (!pool.hasConnected && pool.opening > 0)) return undefined;
  startOpening(pool);
  return 'open';
}

function serve(pool: Pool): void {
  while (!pool.isClosed && pool.queue.length > 0) {
    const granted = grant(pool);
    if (granted === undefined) return;
    pool.queue.serve(granted);
  }
}

/** The circuit must first learn of the failure: it may send all who wait to another server. */
function serveSoon(pool: Pool): void {
  if (pool.queue.length > 0) setImmediate(() => serve(pool));
}

/** To be called after `startOpening`. */
async function open(pool: Pool, signal: AbortSignal): Promise<Pooled> {
  const { epoch, hasConnected } = pool;
  let connection: Connection;
  try {
    connection = await pool.dependencies.open(signal);
  } catch (error) {
    if (error instanceof ServerSkipped) pool.hasConnected = false;
    // What ended the first would end the next ones too: no caller waits long to learn it.
    if (!hasConnected && error instanceof Error && !signal.aborted) pool.queue.rejectAll(asSkipped(error));
    serveSoon(pool);
    throw error;
  } finally {
    pool.opening--;
    pool.dependencies.metrics.connections('opening', -1);
  }
  if (pool.isClosed) {
    connection.close();
    throw gone(pool.settings);
  }
  const pooled = add(pool, connection);
  if (epoch !== pool.epoch) pooled.expiresAt = pool.dependencies.now();
  // Others may open too, now that one has.
  serve(pool);
  return pooled;
}

function startOpening(pool: Pool): void {
  pool.opening++;
  pool.dependencies.metrics.connections('opening', 1);
}

/** A new connection is busy. Its age limit varies by 10 %: connections that opened together must not end together. */
function add(pool: Pool, connection: Connection): Pooled {
  const { now, random, metrics } = pool.dependencies;
  const pooled: Pooled = { connection, expiresAt: now() + pool.settings.maxAge * (0.9 + 0.2 * random()) };
  pool.busy.add(pooled);
  metrics.connections('busy', 1);
  pool.hasConnected = true;
  connection.onClose(() => drop(pool, pooled));
  return pooled;
}

function giveBack(pool: Pool, pooled: Pooled, reusable: boolean): void {
  if (!reusable || !isUsable(pool, pooled)) {
    discard(pool, pooled);
    serveSoon(pool);
    return;
  }
  const { metrics, now } = pool.dependencies;
  pool.busy.delete(pooled);
  metrics.connections('busy', -1);
  pool.idle.push(pooled);
  metrics.connections('idle', 1);
  const idleTime = Math.min(pool.settings.idleTimeout, pooled.expiresAt - now());
  pooled.timer = setTimeout(() => drop(pool, pooled), Math.ceil(idleTime)).unref();
  serve(pool);
}

/** From idle to busy. */
function take(pool: Pool, pooled: Pooled): void {
  const { metrics } = pool.dependencies;
  clearTimeout(pooled.timer);
  pool.idle.splice(pool.idle.lastIndexOf(pooled), 1);
  metrics.connections('idle', -1);
  pool.busy.add(pooled);
  metrics.connections('busy', 1);
}

/** Closes an idle connection. One that is busy is closed when it is released. */
function drop(pool: Pool, pooled: Pooled): void {
  if (!pool.idle.includes(pooled)) return;
  take(pool, pooled);
  discard(pool, pooled);
  serveSoon(pool);
}

/** Closes a busy connection. */
function discard(pool: Pool, pooled: Pooled): void {
  if (pool.busy.delete(pooled)) pool.dependencies.metrics.connections('busy', -1);
  pooled.connection.close();
}

function isUsable({ isClosed, dependencies }: Pool, { connection, expiresAt }: Pooled): boolean {
  return !isClosed && connection.isOpen && dependencies.now() < expiresAt;
}

function isFull({ idle, busy, opening, settings }: Pool): boolean {
  return idle.length + busy.size + opening >= settings.max;
}

function gone({ url }: PoolSettings): ServerSkipped {
  return new ServerSkipped('unavailable', `${url} is no directory server any more`);
}

function asSkipped(error: Error): Error {
  const isShortage = error instanceof ServerError && error.kind === 'shortage';
  return isShortage || error instanceof ServerSkipped ? error : new ServerSkipped('unavailable', error.message);
}
