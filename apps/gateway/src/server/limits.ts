import { readFile } from 'node:fs/promises';
import type { Logger } from '@sallyport/authenticator';

/** Limits of connections. All times are in milliseconds; tests shorten them. */
export interface ConnectionLimits {
  /** For a body, on both protocols. Together with `reviewTimeout` it is well under the 30 s that kube-apiserver waits. */
  readonly bodyTimeout: number;
  /** For a TLS handshake. */
  readonly handshakeTimeout: number;
  /** For the headers of an HTTP/1.1 request. */
  readonly headersTimeout: number;
  /** For a whole HTTP/1.1 request. It is longer than `bodyTimeout`, whose answer says more. */
  readonly requestTimeout: number;
  /** How often the two timeouts above are checked. */
  readonly checkInterval: number;
  /** For a connection without requests. Go's client closes its own after 90 s, and it must be the one that closes. */
  readonly idleTimeout: number;
  /**
   * The time between telling clients to reconnect and closing. Requests that are on the wire, and connections that are
   * being made, still find a server: closing at once lost up to 6 of 12,000 requests.
   */
  readonly drainGrace: number;
  /** For a client that must reconnect and has requests open, or does not read its answers. */
  readonly linger: number;
  /** All connections; more are dropped. */
  readonly maxConnections: number;
  /** Connections on which no client with an allowed name has sent a request yet; see `createSocketLimit`. */
  readonly maxNewcomers: number;
}

export const connectionLimits: ConnectionLimits = {
  bodyTimeout: 10_000,
  handshakeTimeout: 3_000,
  headersTimeout: 10_000,
  requestTimeout: 20_000,
  checkInterval: 5_000,
  idleTimeout: 120_000,
  drainGrace: 1_000,
  linger: 30_000,
  // HTTP/2 needs a few for each kube-apiserver; HTTP/1.1 one for each review in progress, 1,000 by default.
  maxConnections: 2048,
  // One turn of the event loop accepts fewer (Node listens with a backlog of 511).
  maxNewcomers: 512,
};

/** In bytes. kube-apiserver's headers have some 400; a bearer token in its kubeconfig may add some KiB. */
export const maxHeaderSize: number = 16 * 1024;

/** As many as Go's own server allows. Go's client opens another connection for more. */
export const maxConcurrentStreams = 250;

/** This many file descriptors allow every connection, and leave as many for everything else. */
const enoughFiles = 2 * connectionLimits.maxConnections;

/**
 * The connections that the limit of open files allows. Half of the file descriptors are for backends, DNS, files and the
 * admin address, so that a flood of connections can't take those. Warns if fewer connections than usual remain.
 *
 * @param openFiles see {@link openFileLimit}
 */
export function connectionsWithin(
  openFiles: number,
  logger: Logger,
): Pick<ConnectionLimits, 'maxConnections' | 'maxNewcomers'> {
  const maxConnections = Math.min(connectionLimits.maxConnections, Math.floor(openFiles / 2));
  const maxNewcomers = Math.min(connectionLimits.maxNewcomers, Math.floor(maxConnections / 2));
  if (openFiles < enoughFiles) {
    const remedy = `set LimitNOFILE=${enoughFiles} in the systemd unit, or run: ulimit -n ${enoughFiles}`;
    const fields = { openFiles, maxConnections, remedy };
    logger.warn(fields, 'the limit of open files is low: fewer connections are accepted');
  }
  return { maxConnections, maxNewcomers };
}

/**
 * The connections of the login server, beside those of `connectionsWithin`. All of them are newcomers, and a thousand people may log in at
 * once. One turn of the event loop accepts up to 511 more, before the oldest are closed.
 *
 * @param openFiles see {@link openFileLimit}
 */
export function loginConnectionsWithin(openFiles: number): Pick<ConnectionLimits, 'maxConnections' | 'maxNewcomers'> {
  const maxConnections = Math.min(1536, Math.floor(openFiles / 4));
  return { maxConnections, maxNewcomers: Math.floor((maxConnections * 2) / 3) };
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
