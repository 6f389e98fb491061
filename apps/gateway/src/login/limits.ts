import type { Rate } from '../config/login.ts';
import type { LoginConfig } from '../config/types.ts';
import type { HandshakeLimits } from '../http/handshakes.ts';

/** The numbers of the login port. What an operator may change is `login.limits` of the config. */

/** Limits of connections. All times are in milliseconds. */
export const loginConnectionLimits = {
  /** The time for a connection without requests: a client logs in and goes, and a person's next request may be hours away. */
  idleTimeout: 20_000,
  /** The time for a TLS handshake, which may cross a slow network, and wait for the handshakes of a crowd. */
  handshakeTimeout: 10_000,
  /** Maximum number of requests in progress over HTTP/1.1: `kubectl sallyport` sends one after the other. */
  maxPipelined: 2,
  /** Maximum number of requests in progress over HTTP/2: a browser waits for a free stream. */
  maxStreams: 2,
  /** Maximum number of bytes of headers. The answer of a provider is in the URL, and Entra ID's has two kilobytes. */
  maxHeaderSize: 16 * 1024,
};

/** The milliseconds after which a connection is retired: longer than a client needs to log in. */
export const maxConnectionAge = 120_000;

/**
 * Counts the connections of the login server, besides those of `connectionsWithin`. All of them stay new, and a
 * thousand people may log in at the same time. One turn of the event loop accepts up to 511 more, before the oldest are
 * closed.
 */
export function loginConnectionsWithin(openFiles: number) {
  const maxConnections = Math.min(1536, Math.floor(openFiles / 4));
  return { maxConnections, maxNewConnections: Math.floor((maxConnections * 2) / 3) };
}

export const handshakeLimits: HandshakeLimits = {
  /** Maximum number of handshakes of one address. Each takes a millisecond when it begins, and less at its end. */
  perAddress: 8,
  /**
   * The milliseconds after which a handshake does not count for its address: its client is far away or silent, and takes no
   * time.
   */
  addressTime: 100,
  /**
   * Maximum number of handshakes, even those that take no time: their clients could end all in one moment, half a millisecond
   * each.
   */
  inProgress: 256,
};

/** Limits of requests before anything is made for them. */
export const doorLimits = {
  /**
   * Maximum number of requests in progress; a further request ends the oldest one of the busiest address. A thousand people may
   * log in at the same time.
   */
  inProgress: 1_000,
  /** Maximum number of requests of one address that wait for their turn. A further one is answered 429. */
  waiting: 64,
  /** Maximum number of pieces of one body, which has 16 KiB at most: see `maxPieces`. */
  bodyPieces: 256,
  /**
   * Maximum number of answers 429 to one address in a second. Each takes a tenth of a millisecond, so a further one ends its
   * connection instead.
   */
  refusals: { count: 64, per: 1_000 },
  /** Maximum number of answers 429 to all addresses in a second: 26 ms of work. */
  allRefusals: { count: 256, per: 1_000 },
};

/** The milliseconds in which a client must end a body over HTTP/2 that was refused: its stream takes memory. */
export const discardTimeout = 1_000;

/** Maximum number of bytes of one JSON body or form: the answer of a passkey has a few kilobytes. */
export const maxBodyBytes = 16 * 1024;

/** Maximum number of bodies that arrive together, and of their bytes, so that slow senders take little memory. */
export const arrivingBodies = { count: 512, bytes: 4 * 1024 * 1024 };

/** Maximum number of requests of one address that fail or need no password, for each wrong password that it may send. */
const requestsPerPassword = 10;

/** Maximum number of pages of one address, for each login that it may begin. A page takes a millisecond, and asks Redis. */
const pagesPerLogin = 6;

/** The rate of wrong passwords of one address. It is the least possible while there is no config. */
export const passwordRate = (config: LoginConfig | undefined): Rate =>
  config?.limits.perAddress ?? { count: 1, per: 60_000 };

/** The rate of requests of one address. */
export function requestRate(config: LoginConfig | undefined): Rate {
  const { count, per } = passwordRate(config);
  return { count: count * requestsPerPassword, per };
}

/** The rate of pages of one address. */
export function pageRate(config: LoginConfig | undefined): Rate {
  const { count, per } = requestRate(config);
  return { count: count * pagesPerLogin, per };
}

/**
 * The rate of logins of one user that have all factors: a CI system may log in for each job, and three times as often as
 * sessions fit. As many may lack the second factor, of each address.
 */
export const loginRate = (config: LoginConfig | undefined): Rate => ({
  count: Math.max(30, 3 * (config?.maxSessions ?? 0)),
  per: 60_000,
});

/**
 * Maximum number of names that one rate limit counts. Beyond it, the names whose last attempt is the oldest are forgotten: their
 * limit begins again.
 */
export const maxCountedNames = 50_000;

/** The part of all slots that one address may take, so that four others still get in. */
export const maxAddressShare = 0.2;

/** Maximum number of addresses of `X-Forwarded-For` that are read: each proxy adds one. */
export const maxProxies = 16;

/**
 * The step in milliseconds: a refused login takes a multiple of it, so that its time does not show how many directories
 * were asked.
 */
export const refusalStep = 500;

/**
 * Maximum number of attempts of a browser. The cookie of a login at a provider takes a kilobyte, and all headers may have
 * {@link loginConnectionLimits.maxHeaderSize}.
 */
export const maxCookies = 8;
