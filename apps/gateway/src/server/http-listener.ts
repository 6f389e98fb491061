import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Logger } from '@sallyport/authenticator';
import type Koa from 'koa';
import type { Middleware } from 'koa';
import type { ListenAddress } from '../config/types.ts';
import { answerUnreadable } from './answer-errors.ts';
import type { Connection } from './connection.ts';
import { type Connections, createConnections } from './connections.ts';
import { drain } from './drain.ts';
import { spreadHandshakes } from './handshakes.ts';
import { applyTls, createHttpServer, http2Stream, isClosed, type ServerRequest, transportOf } from './http-server.ts';
import type { StatusCode } from './kubernetes-status.ts';
import { type ConnectionLimits, connectionLimits } from './limits.ts';
import { authority, listen } from './listen.ts';
import { createSocketLimit, type SocketLimit } from './socket-limit.ts';
import type { TlsMaterial } from './tls.ts';

/** What an app may do with the connection of a request. */
export interface ConnectionAccess {
  find(request: ServerRequest): Connection | undefined;
  /** Makes the client reconnect. */
  retire(request: ServerRequest): void;
  /** The connection does not count as a newcomer any more: see `ConnectionLimits.maxNewcomers`. */
  admit(request: ServerRequest): void;
  /** Whether an answer over HTTP/1.1 must announce the end of its connection. */
  isLastAnswer(request: ServerRequest): boolean;
}

export interface HttpListenerOptions {
  readonly address: ListenAddress;
  /** The key of the address in the config, for messages. */
  readonly setting: string;
  /** Undefined for plain HTTP, which the config allows on loopback only. */
  readonly tls: TlsMaterial | undefined;
  readonly limits?: Partial<ConnectionLimits> | undefined;
  /** Milliseconds, read for each new connection. */
  readonly maxConnectionAge: () => number;
  readonly logger: Logger;
  /** Over TLS, no more than one handshake begins in a turn of the event loop. Default false. */
  readonly spreadsHandshakes?: boolean | undefined;
  readonly createApp: (connections: ConnectionAccess, limits: ConnectionLimits) => Koa;
  /** The body of an answer to what Node could not parse. Left out: a v1 `Status`. */
  readonly unreadableBody?: ((code: StatusCode, message: string) => object) | undefined;
}

/** The outermost middleware: over HTTP/1.1 an answer may have to say that it is the last one of its connection. */
export function announceEnd(isLastAnswer: (request: ServerRequest) => boolean): Middleware {
  return async (context, next) => {
    await next();
    if (http2Stream(context.req) === undefined && isLastAnswer(context.req)) context.set('Connection', 'close');
  };
}

/** A server with all its connections bounded. */
export interface HttpListener {
  readonly url: string;
  readonly port: number;
  /**
   * Sets TLS for new connections.
   *
   * @param isStrict whether open connections are retired, and handshakes in progress ended
   * @throws Error if the certificate and key do not fit; what was in force stays
   */
  setTls(material: TlsMaterial, isStrict: boolean): void;
  /**
   * Stops without losing a request: accepts connections while it makes clients reconnect, then ends when all is answered.
   *
   * @param timeout milliseconds in all, after which connections are closed
   */
  drain(options: { readonly timeout: number }): Promise<void>;
  /** Closes everything at once. */
  close(): Promise<void>;
}

/**
 * Listens, over HTTP/1.1 and HTTP/2.
 *
 * @throws Error naming the address and how to fix it
 */
export async function startHttpListener(options: HttpListenerOptions): Promise<HttpListener> {
  const { address, setting, tls, logger, unreadableBody } = options;
  const limits = { ...connectionLimits, ...options.limits };
  const connections = createConnections(limits, options.maxConnectionAge);
  const newcomers = createSocketLimit(limits.maxNewcomers, (peer) => {
    logger.debug({ peer }, 'connection closed: too many connections wait for their first review');
  });
  const sockets = new Map<string, Socket>();
  const access = accessTo(connections, sockets, newcomers);
  const answer = options.createApp(access, limits).callback();
  const server = createHttpServer(tls, limits, (request, response) => {
    if (isClosed(response) || access.find(request)?.begin(request, response) === false) return;
    void answer(request as IncomingMessage, response as ServerResponse);
  });
  const isSecure = tls !== undefined;
  if (isSecure && options.spreadsHandshakes === true) spreadHandshakes(server, limits.handshakeTimeout);
  const handshakes = watch(server, { sockets, newcomers, connections, logger, isSecure, unreadableBody });
  const port = await listen(server, address, setting);
  const closeAll = () => {
    const count = connections.destroyAll();
    for (const socket of sockets.values()) socket.destroy();
    return count;
  };
  return {
    url: `${isSecure ? 'https' : 'http'}://${authority(address.host, port)}`,
    port,
    setTls(material, isStrict) {
      applyTls(server, material);
      if (!isStrict) return;
      connections.retireAll();
      // A handshake that began under the old CA would end under it, and its client would be trusted from then on.
      for (const socket of handshakes.values()) socket.destroy();
    },
    drain: ({ timeout }) => drain({ server, connections, closeAll, grace: limits.drainGrace, timeout, logger }),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      closeAll();
      await closed;
    },
  };
}

function accessTo(
  connections: Connections,
  sockets: ReadonlyMap<string, Socket>,
  newcomers: SocketLimit,
): ConnectionAccess {
  const find = (request: ServerRequest) => connections.get(transportOf(request));
  return {
    find,
    retire: (request) => connections.retire(transportOf(request)),
    admit(request) {
      const socket = sockets.get(peerOf(request.socket));
      if (socket !== undefined) newcomers.delete(socket);
    },
    isLastAnswer: (request) => find(request)?.isLastAnswer() ?? false,
  };
}

/** The one thing that a TLS socket and the TCP socket below it have in common. */
function peerOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

interface Watched {
  /** The TCP sockets by their peers. */
  readonly sockets: Map<string, Socket>;
  readonly newcomers: SocketLimit;
  readonly connections: Connections;
  readonly logger: Logger;
  readonly isSecure: boolean;
  readonly unreadableBody: HttpListenerOptions['unreadableBody'];
}

/**
 * Follows every connection, and keeps its errors from ending the process.
 *
 * @returns the TCP sockets that are in a TLS handshake, by their peers
 */
function watch(
  server: Server,
  { sockets, newcomers, connections, logger, isSecure, unreadableBody }: Watched,
): ReadonlyMap<string, Socket> {
  const handshakes = new Map<string, Socket>();
  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket);
    sockets.set(peer, socket);
    newcomers.add(socket);
    if (isSecure) handshakes.set(peer, socket);
    else connections.addSocket(socket);
    socket.once('close', () => {
      for (const known of [sockets, handshakes]) if (known.get(peer) === socket) known.delete(peer);
    });
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    handshakes.delete(peerOf(socket));
    if (socket.alpnProtocol !== 'h2') connections.addSocket(socket);
  });
  server.on('session', connections.addSession);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const connection = connections.get(socket);
    // A failed handshake comes here too.
    if (connection === undefined) {
      socket.destroy();
      return;
    }
    logger.debug({ peer: socket.remoteAddress, code: error.code }, 'request could not be parsed');
    if (!connection.endUnread()) answerUnreadable(error, socket, unreadableBody);
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    logger.debug({ peer: socket.remoteAddress, code: error.code }, 'TLS handshake failed');
  });
  server.on('sessionError', (error: NodeJS.ErrnoException, session: ServerHttp2Session) => {
    logger.debug({ peer: session.socket?.remoteAddress, code: error.code }, 'HTTP/2 connection failed');
  });
  server.on('drop', (drop?: { remoteAddress?: string }) => {
    logger.debug({ peer: drop?.remoteAddress }, 'connection dropped: too many are open');
  });
  return handshakes;
}
