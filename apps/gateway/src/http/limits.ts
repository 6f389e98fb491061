import { readFile } from 'node:fs/promises';
import type { Logger } from '@sallyport/authenticator';

/** Limits of connections. All times are in milliseconds; tests shorten them. */
export type ConnectionLimits = Readonly<typeof connectionLimits>;

export const connectionLimits = {
  /**
   * The time for a body, on both protocols. With `reviewTimeout` it is well under the 30 s that kube-apiserver waits.
   */
  bodyTimeout: 10_000,
  /** The time for a TLS handshake. */
  handshakeTimeout: 3_000,
  /** The time for the headers of an HTTP/1.1 request. */
  headersTimeout: 10_000,
  /** The time for a whole HTTP/1.1 request. It is longer than `bodyTimeout`, whose answer says more. */
  requestTimeout: 20_000,
  /** The time between two checks of the two timeouts above. */
  checkInterval: 5_000,
  /** The time for a connection without requests. Go's client closes its own after 90 s, and must close first. */
  idleTimeout: 120_000,
  /** The time between asking clients to reconnect and closing: a request that is on its way still finds a server. */
  drainGrace: 1_000,
  /** The time for a client that must reconnect and has requests open, or does not read its answers. */
  linger: 30_000,
  /**
   * The maximum number of connections; more are dropped. HTTP/1.1 needs one for each review in progress, 1,000 by default. Each takes
   * up to 110 KiB, most of it for TLS.
   */
  maxConnections: 1024,
  /**
   * The maximum number of connections without a request of an allowed client yet: see `createSocketLimit`. One turn of the event
   * loop accepts fewer.
   */
  maxNewConnections: 512,
  /** The maximum number of bytes of headers. kube-apiserver's have some 400; a bearer token in its kubeconfig may add some KiB. */
  maxHeaderSize: 8 * 1024,
  /**
   * The maximum number of requests in progress on an HTTP/1.1 connection; more end it. One turn of the event loop reads all
   * connections, 1,700 requests each. Go's client sends one at a time.
   */
  maxPipelined: 4,
  /**
   * The maximum number of requests in progress on an HTTP/2 connection, as in Go's own server. Go's client opens another connection
   * for more.
   */
  maxStreams: 250,
  /**
   * The maximum number of requests in progress on all HTTP/2 connections. A further one ends the oldest one of the busiest address:
   * clients that neither end their requests nor read the answers make the gateway hold the headers of all of them.
   */
  maxRequests: 2048,
};

/**
 * The maximum number of pieces of one body: chunks of HTTP/1.1, frames of HTTP/2. Each takes time, however short. 256 KiB come in
 * 200 over most networks.
 */
export const maxPieces = 1_000;

/**
 * Counts the connections that the limit of open files allows. Half of the file descriptors are for backends, DNS, files
 * and the admin address, so that a flood of connections can't take those. It warns if fewer connections than usual
 * remain.
 */
export function connectionsWithin(openFiles: number, logger: Logger) {
  const maxConnections = Math.min(connectionLimits.maxConnections, Math.floor(openFiles / 2));
  const maxNewConnections = Math.min(
    connectionLimits.maxNewConnections,
    Math.floor(maxConnections / 2),
  );
  if (maxConnections < connectionLimits.maxConnections) {
    const enough = 2 * connectionLimits.maxConnections;
    const remedy = `set LimitNOFILE=${enough} in the systemd unit, or run: ulimit -n ${enough}`;
    logger.warn(
      { openFiles, maxConnections, remedy },
      'the limit of open files is low: fewer connections are accepted',
    );
  }
  return { maxConnections, maxNewConnections };
}

/**
 * Reads how many file descriptors this process may have open (RLIMIT_NOFILE). Node raises the soft limit to the hard
 * one when it starts, so the two are the same.
 *
 * @param limits as in Linux' proc(5), /proc/pid/limits
 * @returns Infinity if there is no limit, or if the system does not say
 */
export async function openFileLimit(limits = '/proc/self/limits'): Promise<number> {
  const text = await readFile(limits, 'utf8').catch(() => '');
  const soft = /^Max open files +(\d+)/m.exec(text)?.[1];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}

export type InFlightCounter = ReturnType<typeof createInFlightCounter>;

/** Counts what `server.maxInFlight` limits: the reviews in progress, and the backend work that outlived its review. */
export function createInFlightCounter() {
  let count = 0;
  const take = () => {
    let isTaken = true;
    count++;
    return () => {
      if (isTaken) count--;
      isTaken = false;
    };
  };
  return {
    /**
     * The number of both. Work that outlived its review can bring it above the limit, since it can't be refused any
     * more.
     */
    get count() {
      return count;
    },
    /** Counts a review. @returns a function that ends the count, once; undefined if the limit is reached */
    enter: (limit: number) => (count < limit ? take() : undefined),
    /** Counts work that no one waits for any more, until it settles. */
    hold(work: Promise<unknown>): void {
      const leave = take();
      work.then(leave, leave);
    },
  };
}
