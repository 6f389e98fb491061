import { readFile } from 'node:fs/promises';
import type { Logger } from '@sallyport/authenticator';

/** Limits of connections. All times are in milliseconds; tests shorten them. */
export type ConnectionLimits = Readonly<typeof connectionLimits>;

export const connectionLimits = {
  /** For a body, on both protocols. Together with `reviewTimeout` it is well under the 30 s that kube-apiserver waits. */
  bodyTimeout: 10_000,
  /** For a TLS handshake. */
  handshakeTimeout: 3_000,
  /** For the headers of an HTTP/1.1 request. */
  headersTimeout: 10_000,
  /** For a whole HTTP/1.1 request. It is longer than `bodyTimeout`, whose answer says more. */
  requestTimeout: 20_000,
  /** How often the two timeouts above are checked. */
  checkInterval: 5_000,
  /** For a connection without requests. Go's client closes its own after 90 s, and it must be the one that closes. */
  idleTimeout: 120_000,
  /** Between telling clients to reconnect and closing: what is on the wire still finds a server. */
  drainGrace: 1_000,
  /** For a client that must reconnect and has requests open, or does not read its answers. */
  linger: 30_000,
  /** All connections; more are dropped. HTTP/1.1 needs one for each review in progress, 1,000 by default. */
  maxConnections: 2048,
  /** Without a request of an allowed client yet: see `createSocketLimit`. One turn of the event loop accepts fewer. */
  maxNewConnections: 512,
  /** In bytes. kube-apiserver's headers have some 400; a bearer token in its kubeconfig may add some KiB. */
  maxHeaderSize: 16 * 1024,
  /** Requests in progress on an HTTP/1.1 connection; more end it. One read can hold 1,700; Go's client sends one at a time. */
  maxPipelined: 64,
  /** On an HTTP/2 connection: as many as Go's own server allows. Go's client opens another connection for more. */
  maxStreams: 250,
};

/** Of one body: chunks of HTTP/1.1, frames of HTTP/2. Each costs time, however short. One of 256 KiB has 200 over most networks. */
export const maxPieces = 1_000;

/**
 * The connections that the limit of open files allows. Half of the file descriptors are for backends, DNS, files and the
 * admin address, so that a flood of connections can't take those. Warns if fewer connections than usual remain.
 */
export function connectionsWithin(openFiles: number, logger: Logger) {
  const maxConnections = Math.min(connectionLimits.maxConnections, Math.floor(openFiles / 2));
  const maxNewConnections = Math.min(connectionLimits.maxNewConnections, Math.floor(maxConnections / 2));
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
 * The connections of the login server, beside those of `connectionsWithin`. All of them are newConnections, and a thousand
 * people may log in at once. One turn of the event loop accepts up to 511 more, before the oldest are closed.
 */
export function loginConnectionsWithin(openFiles: number) {
  const maxConnections = Math.min(1536, Math.floor(openFiles / 4));
  return { maxConnections, maxNewConnections: Math.floor((maxConnections * 2) / 3) };
}

/**
 * How many file descriptors this process may have open (RLIMIT_NOFILE). Node raises the soft limit to the hard one when
 * it starts, so the two are the same.
 *
 * @param limits as in Linux' proc(5), /proc/pid/limits
 * @returns Infinity if there is no limit, or if the system does not say
 */
export async function openFileLimit(limits = '/proc/self/limits'): Promise<number> {
  const text = await readFile(limits, 'utf8').catch(() => '');
  const soft = /^Max open files +(\d+)/m.exec(text)?.[1];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}

export type InFlight = ReturnType<typeof createInFlight>;

/** Counts what `server.maxInFlight` limits: the reviews in progress, and the backend work that outlived its review. */
export function createInFlight() {
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
    /** Work that outlived its review can take it above the limit, since it can't be refused any more. */
    get count() {
      return count;
    },
    /** Counts a review. @returns ends the count, a second call does nothing; undefined if the limit is reached */
    enter: (limit: number) => (count < limit ? take() : undefined),
    /** Counts work that no one waits for any more, until it settles. */
    hold(work: Promise<unknown>): void {
      const leave = take();
      work.then(leave, leave);
    },
  };
}
