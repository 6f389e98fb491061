import { ServerError, ServerSkipped } from '../connection/server-error.ts';
import type { LdapConnection } from '../connection/types.ts';
import type { PoolOptions } from '../options/types.ts';
import { createQueue } from '../waiting.ts';
import type { PoolMetrics } from './metrics.ts';

export interface PoolSettings extends PoolOptions {
  readonly url: string;
  readonly waitTimeout: number;
  readonly open: (signal: AbortSignal) => Promise<LdapConnection>;
  readonly metrics: PoolMetrics;
  readonly now: () => number;
  readonly random: () => number;
}

export type ConnectionPool = ReturnType<typeof createConnectionPool>;

export type Lease = ReturnType<typeof createLease>;

/** A connection of the pool. Its times are those of `now`. */
interface PooledConnection {
  readonly connection: LdapConnection;
  readonly expiresAt: number;
  readonly epoch: number;
  /** Closes the connection. It is set while the connection is idle. */
  timer?: NodeJS.Timeout | undefined;
}

type Pool = ReturnType<typeof createState>;

function createState(settings: PoolSettings) {
  return {
    ...settings,
    /**
     * The connections used last are at the end and taken first, so that those that are not needed
     * reach `idleTimeout`.
     */
    idle: [] as PooledConnection[],
    busy: new Set<PooledConnection>(),
    opening: 0,
    queue: createQueue<PooledConnection | 'open'>(),
    /**
     * Until one connection was opened they are opened one by one: a wrong service password is sent
     * once, not `max` times.
     */
    hasConnected: false,
    isClosed: false,
    /** `renew` raises it: a connection of an earlier epoch is not used again. */
    epoch: 0,
  };
}

/** Creates a pool of at most `max` connections to one server. Each connection is used by one caller at a time. */
export function createConnectionPool(settings: PoolSettings) {
  const pool = createState(settings);
  const dropIdle = () => {
    for (const pooled of [...pool.idle]) drop(pool, pooled);
  };
  return {
    /** @throws ServerSkipped `busy` or `unavailable`; as `open`; the reason of the signal */
    async acquire(signal: AbortSignal): Promise<Lease> {
      signal.throwIfAborted();
      if (pool.isClosed) throw gone(pool.url);
      const granted = await waitForConnection(pool, signal);
      const isReused = granted !== 'open';
      return createLease(pool, isReused ? granted : await open(pool, signal), isReused);
    },
    dropIdle,
    /** Closes idle connections immediately and the others when they are released: none of them is used again. */
    renew() {
      pool.epoch++;
      dropIdle();
    },
    rejectWaiting: (reason: string) =>
      pool.queue.rejectAll(new ServerSkipped('unavailable', reason)),
    close() {
      pool.isClosed = true;
      pool.queue.rejectAll(gone(pool.url));
      dropIdle();
      for (const { connection } of pool.busy) connection.close();
    },
  };
}

function createLease(pool: Pool, pooled: PooledConnection, reused: boolean) {
  let current: PooledConnection | undefined = pooled;
  const lease = {
    connection: pooled.connection,
    /** Whether the connection was used before: then the server may have closed it long ago. */
    reused,
    /** Closes the connection and opens another in its place, without waiting. @throws as the pool's `open` */
    async replace(signal: AbortSignal): Promise<void> {
      if (current === undefined) throw new Error('This connection was given back.');
      const old = current;
      current = undefined;
      startOpening(pool);
      discard(pool, old);
      current = await open(pool, signal);
      lease.connection = current.connection;
      lease.reused = false;
    },
    /** Gives the connection back, to be used again or to be closed. A second call does nothing. */
    release(reusable: boolean): void {
      const released = current;
      current = undefined;
      if (released !== undefined) giveBack(pool, released, reusable);
    },
  };
  return lease;
}

async function waitForConnection(
  pool: Pool,
  signal: AbortSignal,
): Promise<PooledConnection | 'open'> {
  const { url, max, waitTimeout: limit, now } = pool;
  const late = () =>
    isFull(pool)
      ? new ServerSkipped('busy', `all ${max} connections to ${url} are busy: raise pool.max`)
      : new ServerSkipped('unavailable', `${url} has not yet answered on its first connection`);
  const began = now();
  try {
    const granted = pool.queue.length > 0 ? undefined : grant(pool);
    return granted ?? (await pool.queue.wait({ signal, limit, late }));
  } finally {
    pool.metrics.waited(now() - began);
  }
}

function grant(pool: Pool): PooledConnection | 'open' | undefined {
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

/** Serves after the circuit has learned of the failure: it may send all who wait to another server. */
function serveSoon(pool: Pool): void {
  if (pool.queue.length > 0) setImmediate(() => serve(pool));
}

/** Opens the connection that `startOpening` has counted. */
async function open(pool: Pool, signal: AbortSignal): Promise<PooledConnection> {
  const { epoch, hasConnected } = pool;
  let connection: LdapConnection;
  try {
    connection = await pool.open(signal);
  } catch (error) {
    if (error instanceof ServerSkipped) pool.hasConnected = false;
    // What ended the first would also end the next ones, so no caller waits long to learn it.
    if (!hasConnected && error instanceof Error && !signal.aborted) {
      const isShortage = error instanceof ServerError && error.kind === 'shortage';
      const isKnown = isShortage || error instanceof ServerSkipped;
      pool.queue.rejectAll(isKnown ? error : new ServerSkipped('unavailable', error.message));
    }
    serveSoon(pool);
    throw error;
  } finally {
    pool.opening--;
    pool.metrics.connections('opening', -1);
  }
  if (pool.isClosed) {
    connection.close();
    throw gone(pool.url);
  }
  // Connections that were opened together must not end together.
  const age = pool.maxAge * (0.9 + 0.2 * pool.random());
  const pooled: PooledConnection = { connection, epoch, expiresAt: pool.now() + age };
  pool.busy.add(pooled);
  pool.metrics.connections('busy', 1);
  pool.hasConnected = true;
  connection.onClose(() => drop(pool, pooled));
  serve(pool);
  return pooled;
}

function startOpening(pool: Pool): void {
  pool.opening++;
  pool.metrics.connections('opening', 1);
}

function giveBack(pool: Pool, pooled: PooledConnection, reusable: boolean): void {
  if (!reusable || !isUsable(pool, pooled)) {
    discard(pool, pooled);
    return;
  }
  pool.busy.delete(pooled);
  pool.metrics.connections('busy', -1);
  pool.idle.push(pooled);
  pool.metrics.connections('idle', 1);
  const idleTime = Math.min(pool.idleTimeout, pooled.expiresAt - pool.now());
  pooled.timer = setTimeout(() => drop(pool, pooled), Math.ceil(idleTime)).unref();
  serve(pool);
}

function take(pool: Pool, pooled: PooledConnection): void {
  clearTimeout(pooled.timer);
  pool.idle.splice(pool.idle.lastIndexOf(pooled), 1);
  pool.metrics.connections('idle', -1);
  pool.busy.add(pooled);
  pool.metrics.connections('busy', 1);
}

/** Closes an idle connection. One that is busy is closed when it is released. */
function drop(pool: Pool, pooled: PooledConnection): void {
  if (!pool.idle.includes(pooled)) return;
  take(pool, pooled);
  discard(pool, pooled);
}

function discard(pool: Pool, pooled: PooledConnection): void {
  if (pool.busy.delete(pooled)) pool.metrics.connections('busy', -1);
  pooled.connection.close();
  serveSoon(pool);
}

function isUsable(pool: Pool, { connection, expiresAt, epoch }: PooledConnection): boolean {
  return !pool.isClosed && connection.isOpen && pool.now() < expiresAt && epoch === pool.epoch;
}

function isFull({ idle, busy, opening, max }: Pool): boolean {
  return idle.length + busy.size + opening >= max;
}

export function gone(url: string): ServerSkipped {
  return new ServerSkipped('unavailable', `${url} is no longer a directory server`);
}
