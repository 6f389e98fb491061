/** Bounds on connections. All times in milliseconds; tests shorten them. */
export interface ConnectionLimits {
  /** For a body, on both protocols. With `reviewTimeout` it is still well under the 30 s that kube-apiserver waits. */
  readonly bodyTimeout: number;
  /** For a TLS handshake. */
  readonly handshakeTimeout: number;
  /** For the headers of an HTTP/1.1 request. */
  readonly headersTimeout: number;
  /** For a whole HTTP/1.1 request: above `bodyTimeout`, whose answer says more. */
  readonly requestTimeout: number;
  /** How often the two above are looked at. */
  readonly checkInterval: number;
  /** For a connection without requests: above the 90 s for which Go's client keeps one, so that it closes first. */
  readonly idleTimeout: number;
  /**
   * Between telling clients to take their requests elsewhere and closing. What was sent before they heard of it, and
   * connections that were being made, still find a server: closing at once lost up to 6 of 12,000 requests.
   */
  readonly drainGrace: number;
  /** For a client that was told to go and has requests open, or does not read its answers. */
  readonly linger: number;
  /** Connections in all; more are dropped. */
  readonly maxConnections: number;
  /** Of them those on which no client with a right name has asked yet; see `createCrowd` for what happens to more. */
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
  // HTTP/2 needs a few for each kube-apiserver; HTTP/1.1 one for each review under way, 1,000 unless configured.
  maxConnections: 2048,
  // More than one turn of the event loop accepts at most (Node listens with a backlog of 511).
  maxNewcomers: 512,
};

/** Of kube-apiserver's requests, some 400 bytes; a bearer token of ours in its kubeconfig may add some KiB. */
export const maxHeaderSize: number = 16 * 1024;

/** As many as Go's own server allows; its client opens another connection for more. */
export const maxConcurrentStreams = 250;
