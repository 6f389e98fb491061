import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Logger } from '@sallyport/authenticator';
import { answerUnreadable } from './answer-errors.ts';
import { createReviewApp, type ReviewDependencies } from './app.ts';
import { createClientCheck } from './client-certificate.ts';
import { type Connections, createConnections } from './connections.ts';
import { drain } from './drain.ts';
import { applyTls, createHttpServer, isClosed, type ServerRequest, transportOf } from './http-server.ts';
import { type ConnectionLimits, connectionLimits } from './limits.ts';
import { authority, listen } from './listen.ts';
import { createSocketLimit, type SocketLimit } from './socket-limit.ts';
import type { TlsMaterial } from './tls.ts';

export interface ReviewServerOptions extends ReviewDependencies {
  /** Undefined for plain HTTP, which the config allows on loopback only. */
  readonly tls?: TlsMaterial;
  readonly limits?: Partial<ConnectionLimits>;
}

/** The server that kube-apiserver calls. */
export interface ReviewServer {
  readonly url: string;
  readonly port: number;
  /**
   * Sets TLS for new connections. Open ones stay, unless the client CA or names changed: then they are retired, and the
   * new names apply to their very next request.
   *
   * @throws Error if the certificate and key do not fit, or the server is plain; what was in force stays
   */
  updateTls(material: TlsMaterial): void;
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
 * Listens on `server.listen`.
 *
 * @throws Error naming the address and how to fix it
 */
export async function startReviewServer(options: ReviewServerOptions): Promise<ReviewServer> {
  const { settings, logger } = options;
  const limits = { ...connectionLimits, ...options.limits };
  const connections = createConnections(limits, () => settings().maxConnectionAge);
  let material = options.tls;

  const newcomers = createSocketLimit(limits.maxNewcomers, (peer) => {
    logger.debug({ peer }, 'connection closed: too many connections wait for their first review');
  });
  const sockets = new Map<string, Socket>();
  const find = (request: ServerRequest) => connections.get(transportOf(request));
  const check = createClientCheck({
    names: () => material?.client?.names,
    onExpired: (request) => connections.retire(transportOf(request)),
    onWrongName: (request) => find(request)?.restrict(),
    logger,
  });
  const gate = {
    admit: onFirst(check, (request) => {
      const socket = sockets.get(peerOf(request.socket));
      if (socket !== undefined) newcomers.delete(socket);
    }),
    isLastAnswer: (request: ServerRequest) => find(request)?.isLastAnswer() ?? false,
  };
  const answer = createReviewApp(options, limits.bodyTimeout, gate).callback();
  const server = createHttpServer(material, limits, (request, response) => {
    if (isClosed(response) || find(request)?.begin(request, response) === false) return;
    void answer(request as IncomingMessage, response as ServerResponse);
  });
  const handshakes = watch(server, { sockets, newcomers, connections, logger, isSecure: material !== undefined });
  const { listen: address } = settings();
  const port = await listen(server, address, 'server.listen');
  const closeAll = () => {
    const count = connections.destroyAll();
    for (const socket of sockets.values()) socket.destroy();
    return count;
  };

  return {
    url: `${material === undefined ? 'http' : 'https'}://${authority(address.host, port)}`,
    port,
    updateTls(next) {
      if (material === undefined) throw new Error('server.tls: a server of plain HTTP needs a restart to use TLS');
      const isSame = isSameClient(material, next);
      applyTls(server, next);
      material = next;
      if (isSame) return;
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

type ClientCheck = ReturnType<typeof createClientCheck>;

/** Calls `act` at the first request of each connection that passes `check`. */
function onFirst(check: ClientCheck, act: (request: ServerRequest) => void): ClientCheck {
  const passed = new WeakSet<object>();
  return (request) => {
    const subject = check(request);
    const transport = transportOf(request);
    if (!passed.has(transport)) {
      passed.add(transport);
      act(request);
    }
    return subject;
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
}

/**
 * Follows every connection, and keeps its errors from ending the process.
 *
 * @returns the TCP sockets that are in a TLS handshake, by their peers
 */
function watch(
  server: Server,
  { sockets, newcomers, connections, logger, isSecure }: Watched,
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
    if (!connection.endUnread()) answerUnreadable(error, socket);
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

function isSameClient(one: TlsMaterial, other: TlsMaterial): boolean {
  if (one.client === undefined || other.client === undefined) return one.client === other.client;
  return one.client.ca.equals(other.client.ca) && one.client.names.join('\0') === other.client.names.join('\0');
}
