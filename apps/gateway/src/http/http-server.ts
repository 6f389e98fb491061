import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import { FixableError, SettingError } from '../config/problems.ts';
import type { ListenAddress } from '../config/types.ts';
import { type Http2Answer, type Http2Request, http2Classes } from './http2-stream.ts';
import type { ConnectionLimits } from './limits.ts';
import { secureContext, type TlsMaterial } from './tls.ts';

/** A request of either protocol. Koa's types know only HTTP/1.1, but Koa serves both. */
export type ServerRequest = IncomingMessage | Http2Request;
export type ServerAnswer = ServerResponse | Http2Answer;

/** Returns the stream of an HTTP/2 request, or undefined over HTTP/1.1. */
export function http2Stream(request: ServerRequest): ServerHttp2Stream | undefined {
  return 'session' in request ? request : undefined;
}

/** Whether the client has closed the connection or the stream. */
export function isClosed(answer: ServerAnswer): boolean {
  return 'stream' in answer ? answer.stream.closed : answer.destroyed;
}

/** Calls `act` when the connection or the stream is closed, which also follows each complete answer. */
export function onceClosed(answer: ServerAnswer, act: () => void): void {
  ('stream' in answer ? answer.stream : answer).once('close', act);
}

/** Whether a request lacks the Host that RFC 9112 section 3.2 requires. */
export function lacksHost(request: ServerRequest): boolean {
  return (
    'httpVersion' in request && request.httpVersion === '1.1' && request.headers.host === undefined
  );
}

/** A connection: the socket of HTTP/1.1, or the HTTP/2 session. */
export type Transport = Socket | Http2Session;

/** Returns the connection of a request whose stream is open: a stream that is destroyed has no session any more. */
export function findTransport(request: ServerRequest): Transport {
  return ('session' in request ? request.session : request.socket) as Transport;
}

/** Ends the connection of a request, with all that is on it. */
export function endConnection(request: ServerRequest): void {
  const session = http2Stream(request)?.session;
  // It is done later, because Node's parser may still work on it.
  if (session) setImmediate(() => session.destroy());
  else request.socket.destroy();
}

type Handle = (request: ServerRequest, answer: ServerAnswer) => void;

/** Creates a server that does not listen yet: HTTP/2 and 1.1 by ALPN over TLS, or plain HTTP/1.1. */
export function createHttpServer(
  tls: TlsMaterial | undefined,
  limits: ConnectionLimits,
  handle: Handle,
): Server {
  const options = {
    maxHeaderSize: limits.maxHeaderSize,
    headersTimeout: limits.headersTimeout,
    requestTimeout: limits.requestTimeout,
    connectionsCheckingInterval: limits.checkInterval,
    keepAliveTimeout: limits.idleTimeout,
    // Node would answer such requests by itself, and count none of them.
    requireHostHeader: false,
    // It is Node's default over plain HTTP alone. Without it, the first answer over TLS waits for the client to acknowledge the
    // session tickets, which takes Linux 40 ms.
    noDelay: true,
  };
  const { handshakeTimeout } = limits;
  const secureOptions = tls && {
    ...options,
    ...secureContext(tls),
    ...clientOptions(tls),
    ...http2Classes,
    allowHTTP1: true,
    settings: { maxConcurrentStreams: limits.maxStreams, maxHeaderListSize: limits.maxHeaderSize },
    maxSessionMemory: 10,
    maxSessionInvalidFrames: 100,
    // A client that sends so many before the settings have arrived reads no answer to any of them.
    maxSessionRejectedStreams: Math.min(100, limits.maxStreams),
    // `createResetCount` counts the resets that matter. These two limit the frames, including those of one read, which
    // take a KB each until the next turn of the event loop.
    streamResetBurst: 2 * limits.maxStreams + 8,
    streamResetRate: 4 * limits.maxStreams,
    handshakeTimeout,
    unknownProtocolTimeout: handshakeTimeout,
  };
  const server = secureOptions
    ? createSecureServer(secureOptions, handle as () => void)
    : createServer(options, handle);
  // An unknown expectation is ignored, as RFC 9110 section 10.1.1 allows.
  server.on('checkExpectation', handle);
  // This is not a proxy. Over HTTP/2, Node would answer such requests by itself, and count none of them.
  server.on('connect', endConnection);
  server.maxConnections = limits.maxConnections;
  return server;
}

/**
 * Replaces the TLS of new connections.
 *
 * @throws Error if the certificate and key do not fit; the old ones stay in force
 */
export function applyTls(server: Server, tls: TlsMaterial): void {
  const secure = server as Http2SecureServer;
  secure.setSecureContext(secureContext(tls));
  // These two are not part of the context: the server reads them from itself at each connection.
  Object.assign(secure, clientOptions(tls));
}

function clientOptions({ client }: TlsMaterial) {
  return { requestCert: client !== undefined, rejectUnauthorized: client !== undefined };
}

/** The options of `serve` that override settings. */
const overridingOptions: Readonly<Record<string, string>> = {
  'server.listen': '--listen',
  'admin.listen': '--admin-listen',
};

function describeTaken(setting: string, usedOption?: string): readonly [why: string, fix: string] {
  const option = overridingOptions[setting];
  const orOption = option === undefined ? '' : `, or with serve ${option} 127.0.0.1:PORT`;
  const place = usedOption ?? `${setting}${orOption}`;
  return ['another process listens there', `stop it, or use another port in ${place}`];
}

const causes: Readonly<Record<string, readonly [why: string, fix?: string]>> = {
  EACCES: [
    'permission denied',
    'use a port above 1023, or lower net.ipv4.ip_unprivileged_port_start on this machine (sysctl)',
  ],
  EADDRNOTAVAIL: ['this machine has no such address', 'use an address of this machine'],
  ENOTFOUND: ['no such host name', 'use an IP address'],
};

/**
 * Listens on an address.
 *
 * @param setting the key of the address in the config, for the message
 * @returns the port, which the system chose if it was 0
 * @throws FixableError naming the setting, or the option that overrides it, and the address
 */
export async function listen(
  server: Server,
  { host, port, orAnyPort, option }: ListenAddress,
  setting: string,
): Promise<number> {
  server.listen({ host, port });
  try {
    await once(server, 'listening');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const isTaken = code === 'EADDRINUSE';
    if (isTaken && orAnyPort) return listen(server, { host, port: 0 }, setting);
    const [cause, fix] = isTaken ? describeTaken(setting, option) : (causes[code] ?? [code]);
    const message = `can't listen on ${authority(host, port)}: ${cause}`;
    throw option === undefined
      ? new SettingError({ path: setting.split('.'), message, fix }, { cause: error })
      : new FixableError(`${option}: ${message}`, fix, { cause: error });
  }
  return (server.address() as AddressInfo).port;
}

/** Writes `host:port` as in URLs, with IPv6 addresses in brackets. */
export function authority(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
